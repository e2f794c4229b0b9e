use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Target;

/// What to train: rank, alpha and which layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoraSpec {
    /// Rank of every pair, kohya's `network_dim`.
    pub rank: usize,
    /// The correction is scaled by `alpha / rank`, kohya's `network_alpha`.
    pub alpha: f32,
    /// Parts of the model that get adapters. kohya's default is `text-encoder` and `attention`.
    pub targets: Vec<Target>,
}

impl Default for LoraSpec {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 16.0,
            targets: vec![Target::TextEncoder, Target::Attention],
        }
    }
}

impl LoraSpec {
    /// `alpha / rank`.
    pub fn scale(&self) -> f32 {
        self.alpha / self.rank as f32
    }

    /// # Errors
    /// Rank 0, an alpha that is not a positive number, no target.
    pub fn check(&self) -> Result<(), SpecError> {
        if self.rank == 0 {
            return Err(SpecError::ZeroRank);
        }
        if !(self.alpha.is_finite() && self.alpha > 0.0) {
            return Err(SpecError::BadAlpha { alpha: self.alpha });
        }
        if self.targets.is_empty() {
            return Err(SpecError::NoTargets);
        }
        Ok(())
    }
}

/// Why adapters cannot be put into a network.
#[derive(Debug, Error)]
pub enum SpecError {
    /// Rank 0 has no parameters.
    #[error("lora.rank is 0; use 4 to 128")]
    ZeroRank,
    /// The scale would vanish or not be a number.
    #[error("lora.alpha is {alpha}; use a positive number, usually rank or rank / 2")]
    BadAlpha {
        /// The value given.
        alpha: f32,
    },
    /// Nothing to train.
    #[error("lora.targets is empty; name at least one of text-encoder, attention, convolution")]
    NoTargets,
    /// Modules of an adapter file that the network does not have.
    #[error("the adapter does not fit this model: no such module: {}", .modules.join(", "))]
    UnknownModules {
        /// kohya names of the modules.
        modules: Vec<String>,
    },
    /// A module's factors do not have the shapes that the frozen weight asks for.
    #[error(
        "{module}: down {down:?} and up {up:?} do not fit the frozen weight ({outputs} outputs, {receptive} inputs per output)"
    )]
    Misfit {
        /// kohya name of the module.
        module: String,
        /// Shape of the down factor.
        down: Vec<usize>,
        /// Shape of the up factor.
        up: Vec<usize>,
        /// Output channels of the frozen weight.
        outputs: usize,
        /// Input channels times kernel area of the frozen weight.
        receptive: usize,
    },
}
