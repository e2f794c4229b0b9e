use std::path::PathBuf;

use crate::{Precision, WeightFormat, diffusion::PredictionType};

/// Where a base model is read from, and what of it is overruled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelSource {
    /// A diffusers folder or a single file.
    pub path: PathBuf,
    /// A diffusers folder whose configs are used instead of the checkpoint's.
    pub config: Option<PathBuf>,
    /// Another VAE: a diffusers VAE folder or a single file.
    pub vae: Option<PathBuf>,
    /// What the UNet predicts, where the checkpoint does not say it rightly.
    pub prediction_type: Option<PredictionType>,
    /// Whether its noise ends in pure noise, where the checkpoint does not say it rightly.
    pub zero_terminal_snr: Option<bool>,
    /// The number format of the weights in memory.
    pub precision: Precision,
    /// Whether the UNet's weights are held in eight bits; see [`WeightFormat::eight_bit`].
    pub eight_bit: bool,
}

impl ModelSource {
    /// The model at `path` as it is, in f32.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// How its weights are held.
    pub fn format(&self) -> WeightFormat {
        WeightFormat {
            precision: self.precision,
            eight_bit: self.eight_bit,
        }
    }
}
