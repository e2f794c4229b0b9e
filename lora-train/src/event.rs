#[cfg(test)]
mod documented;

use std::{
    fmt,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{Comparison, Outcome, RunOrigin, TIMESTEP_BINS};

/// The version of the lines of `metrics.jsonl`. Raised where a reader of older lines would misread newer ones.
pub const EVENT_FORMAT: u32 = 1;

/// What a run tells its observer, after it happened.
///
/// Serialises to the lines of `metrics.jsonl`: one JSON object with `event` and the fields below, as `docs/events.md` tells
/// them. Later versions may add events and fields; for others than these, [`EVENT_FORMAT`] is raised.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// Everything is loaded; the first step follows.
    Started {
        /// [`EVENT_FORMAT`].
        format: u32,
        /// What the run is made from, and where.
        origin: &'a RunOrigin,
        /// Steps planned.
        steps: u64,
        /// Steps that are done already, where the run goes on from a checkpoint.
        done: u64,
        /// Adapted layers.
        modules: usize,
        /// Numbers trained.
        parameters: usize,
    },
    /// Latents of so many pictures are there.
    Cached {
        /// Pictures done.
        done: usize,
        /// Views of them that the cache on the disk had.
        found: usize,
        /// Pictures in all.
        total: usize,
    },
    /// The end of a report interval.
    Stepped(&'a StepReport),
    /// The run was told to wait, and takes no step until it is told to go on.
    Paused {
        /// Steps done.
        step: u64,
    },
    /// The run goes on after a pause.
    Resumed {
        /// Steps done.
        step: u64,
    },
    /// The learning rates were told to be others than the config's.
    RatesScaled {
        /// Steps done.
        step: u64,
        /// What the config's rates are multiplied by from here.
        factor: f64,
    },
    /// A step's loss or gradient was no number, so nothing moved.
    Skipped(&'a BadStep),
    /// The held-out loss was measured.
    Measured {
        /// Steps done.
        step: u64,
        /// Mean denoising loss over the held-out pictures.
        heldout_loss: f64,
    },
    /// Pictures drawn with the file of an epoch were compared with the training pictures.
    Compared {
        /// Steps done.
        step: u64,
        /// What came of it.
        #[serde(flatten)]
        comparison: &'a Comparison,
    },
    /// A preview was drawn.
    Sampled {
        /// Steps done.
        step: u64,
        /// Number of the prompt, from 0.
        prompt: usize,
        /// The picture.
        image: &'a Path,
    },
    /// A LoRA file was written.
    Saved {
        /// Steps done.
        step: u64,
        /// Epochs finished.
        epoch: u64,
        /// The file.
        path: &'a Path,
        /// SHA-256 of the file, in hexadecimal.
        sha256: &'a str,
    },
    /// The run ended, at its end or on request, and everything is on the disk.
    Finished(&'a Outcome),
}

/// The steps since the last report.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Steps done.
    pub step: u64,
    /// Steps planned.
    pub steps: u64,
    /// The epoch of the last step, from 1.
    pub epoch: u64,
    /// Mean loss of the interval.
    pub loss: f64,
    /// Exponentially smoothed loss of the run.
    pub smooth_loss: f64,
    /// The mean of [`Self::loss_by_timestep`], which does not depend on which timesteps were drawn; absent where the
    /// objective does not tell the loss of each picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub balanced_loss: Option<f64>,
    /// Exponentially smoothed loss of the pictures drawn in each of ten equal stretches of the noise schedule, the least
    /// noise first; none where no picture was.
    pub loss_by_timestep: [Option<f64>; TIMESTEP_BINS],
    /// Norm of the last step's gradient before clipping, over all matrices.
    pub grad_norm: f64,
    /// The UNet's learning rate at the last step.
    pub learning_rate: f64,
    /// The first text encoder's, where it learns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_learning_rate: Option<f64>,
    /// Steps a second over the interval, without previews and saving.
    pub steps_per_second: f64,
    /// Pictures a second over the interval, likewise.
    pub pictures_per_second: f64,
    /// Time left at that rate, in seconds.
    #[serde(rename = "seconds_left", with = "seconds")]
    pub left: Duration,
    /// Memory of the host that the process has now, in bytes; only on Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resident_bytes: Option<u64>,
    /// The most that it ever had, in bytes; only on Linux.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peak_resident_bytes: Option<u64>,
}

/// A step whose numbers went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BadStep {
    /// The step, from 1.
    pub step: u64,
    /// How many in a row it is.
    pub in_a_row: u64,
    /// Its loss, as text, for it may be none that JSON has.
    pub loss: String,
    /// The norm of its gradient, likewise.
    pub grad_norm: String,
    /// The first matrix whose gradient is no number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The pictures shown.
    pub pictures: Vec<PathBuf>,
    /// The timesteps drawn for them.
    pub timesteps: Vec<usize>,
}

impl fmt::Display for BadStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "loss {}, gradient norm {}", self.loss, self.grad_norm)?;
        if let Some(layer) = &self.layer {
            write!(f, ", gradient of {layer}")?;
        }
        for (picture, timestep) in self.pictures.iter().zip(&self.timesteps) {
            write!(f, ", {} at timestep {timestep}", picture.display())?;
        }
        Ok(())
    }
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        duration: &Duration,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Duration, D::Error> {
        Duration::try_from_secs_f64(f64::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

/// Whether a run goes on. Breaking stops it after the current step, with everything saved.
pub type Flow = ControlFlow<()>;

/// Hears of everything, after it happened; may end the run, may not change it.
pub trait Observer {
    /// Told of `event`; answers whether the run goes on.
    fn on_event(&mut self, event: &Event<'_>) -> Flow;
}

impl<F: FnMut(&Event<'_>) -> Flow> Observer for F {
    fn on_event(&mut self, event: &Event<'_>) -> Flow {
        self(event)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A report after ten steps, of which two stretches of timesteps tell.
    pub(crate) fn report() -> StepReport {
        let mut loss_by_timestep = [None; TIMESTEP_BINS];
        (loss_by_timestep[0], loss_by_timestep[9]) = (Some(0.5), Some(0.1));
        StepReport {
            step: 10,
            steps: 20,
            epoch: 1,
            loss: 0.1,
            smooth_loss: 0.12,
            balanced_loss: Some(0.3),
            loss_by_timestep,
            grad_norm: 1.0,
            learning_rate: 1e-3,
            text_learning_rate: None,
            steps_per_second: 2.0,
            pictures_per_second: 8.0,
            left: Duration::from_secs(5),
            resident_bytes: Some(1 << 20),
            peak_resident_bytes: Some(1 << 21),
        }
    }

    pub(crate) fn origin() -> RunOrigin {
        RunOrigin {
            program: "lora 0.1.0".to_owned(),
            device: "cpu".to_owned(),
            threads: 2,
            system: "linux x86_64".to_owned(),
            config_sha256: "c".repeat(64),
            data_sha256: "d".repeat(64),
            model_digest: "e".repeat(64),
            model_sha256: Some("f".repeat(64)),
        }
    }
}
