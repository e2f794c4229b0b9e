use std::path::PathBuf;

use lora_core::{ModelSource, Precision, diffusion::PredictionType};
use serde::{Deserialize, Serialize};

/// The base model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// A diffusers folder or a single `.safetensors` checkpoint.
    pub path: PathBuf,
    /// A diffusers folder whose configs are used instead of the model's: for single files of unusual shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// Another VAE than the model's: a diffusers VAE folder or a single file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vae: Option<PathBuf>,
    /// Whether the UNet predicts the velocity instead of the noise; what the model says when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v_prediction: Option<bool>,
    /// Whether the noise is rescaled to end in pure noise (zero terminal SNR); what the model says when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zero_terminal_snr: Option<bool>,
    /// Whether the VAE, and text encoders that are not trained, are freed while they are not needed and read again for
    /// each preview.
    pub offload: bool,
    /// Number format of the frozen weights; adapters are always f32.
    pub precision: Precision,
    /// Whether the UNet's frozen weights are held in eight bits and made into `precision` as they are needed: a quarter of f32's
    /// memory. Needs `train.gradient_checkpointing`.
    pub eight_bit: bool,
    /// Use the n-th last layer of the text encoder; 1 is the last, 2 is usual for anime models.
    pub clip_skip: usize,
    /// Tokens of a caption that are used: 75, 150 or 225.
    pub max_tokens: usize,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            config: None,
            vae: None,
            v_prediction: None,
            zero_terminal_snr: None,
            offload: false,
            precision: Precision::Auto,
            eight_bit: false,
            clip_skip: 1,
            max_tokens: 75,
        }
    }
}

impl ModelConfig {
    /// Where the model is read from.
    pub fn source(&self) -> ModelSource {
        ModelSource {
            path: self.path.clone(),
            config: self.config.clone(),
            vae: self.vae.clone(),
            prediction_type: self.v_prediction.map(PredictionType::of_velocity),
            zero_terminal_snr: self.zero_terminal_snr,
            precision: self.precision,
            eight_bit: self.eight_bit,
        }
    }

    /// Rows of 75 tokens that a caption is cut into.
    pub fn chunks(&self) -> usize {
        self.max_tokens.div_ceil(lora_core::tokenizer::CHUNK_LENGTH)
    }
}
