use std::{
    num::{NonZeroU64, NonZeroUsize},
    path::PathBuf,
};

use lora_data::{HeldoutSplit, SplitSize};
use serde::{Deserialize, Serialize};

/// Pictures that are kept out of training to measure by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeldoutConfig {
    /// Their folder, with captions; unset, with `split` unset too, means no measure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub folder: Option<PathBuf>,
    /// Take so many of the training pictures instead of a folder, or this part of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<SplitSize>,
    /// Steps between two measures, beside one before the first step and one with each saved epoch; 0 means only those.
    pub every: u64,
    /// Measure after so many epochs as well; unset means not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_epochs: Option<NonZeroU64>,
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
            split: None,
            every: 100,
            every_epochs: None,
            timesteps: 16,
            patience: None,
            noise: None,
        }
    }
}

impl HeldoutConfig {
    /// Which of the training pictures are taken out, in a run of this seed.
    pub fn split_of(&self, seed: u64) -> Option<HeldoutSplit> {
        self.split.map(|size| HeldoutSplit { size, seed })
    }

    /// Whether a measure is due at the end of an epoch, from 1.
    pub(crate) fn is_due_after(&self, epoch: u64) -> bool {
        self.every_epochs
            .is_some_and(|every| epoch.is_multiple_of(every.get()))
    }

    /// What keeps it from being used, one sentence each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let checks = [
            (
                self.timesteps > 0,
                "heldout.timesteps is 0; use at least 1, usually 16",
            ),
            (
                self.split.is_none_or(SplitSize::is_sound),
                "heldout.split must be a number of pictures such as 4, or a part of all such as 0.1",
            ),
            (
                self.folder.is_none() || self.split.is_none(),
                "heldout.folder and heldout.split are both set: either pictures of their own are measured by, or some of \
                 the training pictures",
            ),
        ];
        let failed = checks.into_iter().filter(|(holds, _)| !holds);
        failed.map(|(_, problem)| problem.to_owned()).collect()
    }

    /// What has no effect because the config names nothing to measure by.
    pub(crate) fn unmeasured(&self) -> Option<String> {
        let is_measured = self.folder.is_some() || self.split.is_some();
        let problem = "heldout.patience is set, but nothing is measured: set heldout.split or heldout.folder too";
        (self.patience.is_some() && !is_measured).then(|| problem.to_owned())
    }
}
