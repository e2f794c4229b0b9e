use std::num::NonZeroU64;

use lora_core::diffusion::SamplerKind;
use serde::{Deserialize, Serialize};

/// Pictures drawn on the way, always from the same noise, so that they form a film strip.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreviewConfig {
    /// Steps between two previews; 0 means none but those that follow.
    pub every: u64,
    /// Draw after so many epochs as well; unset means not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_epochs: Option<NonZeroU64>,
    /// Draw before the first step too, when nothing is learnt yet.
    pub at_start: bool,
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
            every_epochs: None,
            at_start: false,
            prompts: Vec::new(),
            sampler: SamplerKind::Ddim,
            steps: 20,
            guidance: 7.0,
            seed: 1,
        }
    }
}

impl PreviewConfig {
    /// Whether previews are due at the end of an epoch, from 1.
    pub(crate) fn is_due_after(&self, epoch: u64) -> bool {
        self.every_epochs
            .is_some_and(|every| epoch.is_multiple_of(every.get()))
    }

    /// Whether any are drawn in a run that is long enough.
    pub(crate) fn is_on(&self) -> bool {
        let asked_for = self.every > 0 || self.every_epochs.is_some() || self.at_start;
        asked_for && !self.prompts.is_empty()
    }
}
