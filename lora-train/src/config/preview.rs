use std::{num::NonZeroUsize, path::PathBuf};

use lora_core::diffusion::SamplerKind;
use serde::{Deserialize, Serialize};

/// Pictures drawn on the way, always from the same noise, so that they form a film strip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreviewConfig {
    /// Steps between two previews; 0 means none.
    pub every: u64,
    /// Prompts, in the syntax of kohya's sample files: `a cat --n blurry --w 512 --h 512 --s 20 --l 7 --d 1`.
    pub prompts: Vec<String>,
    /// Sampler of all prompts.
    pub sampler: SamplerKind,
    /// Steps of the sampler, where a prompt does not say.
    pub steps: usize,
    /// Classifier-free guidance, where a prompt does not say; 1 means none.
    pub guidance: f64,
    /// Seed of the noise, where a prompt does not say.
    pub seed: u64,
}

impl Default for PreviewConfig {
    fn default() -> Self {
        Self {
            every: 50,
            prompts: Vec::new(),
            sampler: SamplerKind::Ddim,
            steps: 20,
            guidance: 7.0,
            seed: 1,
        }
    }
}

/// Pictures that are kept out of training to measure by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeldoutConfig {
    /// Their folder, with captions; unset means no measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Steps between two measures, beside one before the first step and one with each saved epoch; 0 means only those.
    pub every: u64,
    /// Timesteps of the measure, evenly spaced.
    pub timesteps: usize,
    /// End the run when so many measures in a row were no better than the best before them; unset means to train to the
    /// end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patience: Option<NonZeroUsize>,
    /// A safetensors file with `noise [timesteps, pictures, channels, height, width]` and `timesteps`, to measure
    /// exactly as another program did; unset means noise of the run's seed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<PathBuf>,
}

impl Default for HeldoutConfig {
    fn default() -> Self {
        Self {
            folder: None,
            every: 100,
            timesteps: 16,
            patience: None,
            noise: None,
        }
    }
}
