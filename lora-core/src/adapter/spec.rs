use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{SiteShape, Target};

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
    /// Rank of the convolutions wider than 1×1, kohya's `conv_dim`; [`Self::rank`] when left out.
    pub conv_rank: Option<usize>,
    /// Alpha of the convolutions wider than 1×1, kohya's `conv_alpha`; [`Self::alpha`] when left out.
    pub conv_alpha: Option<f32>,
}

impl Default for LoraSpec {
    fn default() -> Self {
        Self {
            rank: 16,
            alpha: 16.0,
            targets: vec![Target::TextEncoder, Target::Attention],
            conv_rank: None,
            conv_alpha: None,
        }
    }
}

impl LoraSpec {
    /// Rank and alpha of a layer: as kohya does, only convolutions wider than 1×1 have their own.
    pub fn rank_and_alpha(&self, shape: SiteShape) -> (usize, f32) {
        if shape.kernel.is_none_or(|kernel| kernel == [1, 1]) {
            return (self.rank, self.alpha);
        }
        (
            self.conv_rank.unwrap_or(self.rank),
            self.conv_alpha.unwrap_or(self.alpha),
        )
    }

    /// # Errors
    /// A rank of 0, an alpha that is not a positive number, no target, settings of convolutions that are not trained.
    pub fn check(&self) -> Result<(), SpecError> {
        let ranks = [("rank", Some(self.rank)), ("conv_rank", self.conv_rank)];
        if let Some((field, _)) = ranks.into_iter().find(|&(_, rank)| rank == Some(0)) {
            return Err(SpecError::ZeroRank { field });
        }
        for (field, alpha) in [("alpha", Some(self.alpha)), ("conv_alpha", self.conv_alpha)] {
            if let Some(alpha) = alpha.filter(|alpha| !(alpha.is_finite() && *alpha > 0.0)) {
                return Err(SpecError::BadAlpha { field, alpha });
            }
        }
        let has_own = self.conv_rank.is_some() || self.conv_alpha.is_some();
        if has_own && !self.targets.contains(&Target::Convolution) {
            return Err(SpecError::ConvolutionsNotTrained);
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
    #[error("lora.{field} is 0; use 4 to 128")]
    ZeroRank {
        /// `rank` or `conv_rank`.
        field: &'static str,
    },
    /// The scale would vanish or not be a number.
    #[error("lora.{field} is {alpha}; use a positive number, usually the rank or half of it")]
    BadAlpha {
        /// `alpha` or `conv_alpha`.
        field: &'static str,
        /// The value given.
        alpha: f32,
    },
    /// A rank or alpha for layers that get no adapter.
    #[error(
        "lora.conv_rank and lora.conv_alpha are for convolutions; add \"convolution\" to lora.targets, or leave them out"
    )]
    ConvolutionsNotTrained,
    /// Nothing to train.
    #[error("lora.targets is empty; name at least one of text-encoder, attention, convolution")]
    NoTargets,
    /// Modules of an adapter file that the network does not have.
    #[error("the adapter does not fit this model: no such module: {}", .modules.join(", "))]
    UnknownModules {
        /// kohya names of the modules.
        modules: Vec<String>,
    },
    /// Modules of an adapter file on layers that have no place for adapters.
    #[error(
        "the adapter changes layers that this program does not adapt: {}; draw with another program, or take these modules out",
        .modules.join(", ")
    )]
    NotAdapted {
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
