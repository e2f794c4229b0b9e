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
