//! Timing what a run does, without writing anything.

use std::time::{Duration, Instant};

use lora_data::epoch_plan;

use super::Run;
use crate::{RunFolder, TrainError, Trainer};

/// What a run's parts took, in seconds.
pub(crate) struct MeasuredTimes {
    /// What comes before the first step: latents, text states, adapters.
    pub(crate) readying: f64,
    /// Each step, the first left out.
    pub(crate) steps: Vec<f64>,
    /// All previews of one time.
    pub(crate) previews: Option<f64>,
    /// A measure on the held-out pictures.
    pub(crate) heldout: Option<f64>,
    /// A checkpoint as far as the disk.
    pub(crate) checkpoint: f64,
    /// A LoRA file as far as the disk.
    pub(crate) file: f64,
}

impl MeasuredTimes {
    /// Takes one step that does not count and `steps` that do, and does once whatever else the run would do.
    ///
    /// # Errors
    /// As [`Trainer::run`].
    pub(crate) fn of(trainer: Trainer, steps: usize) -> Result<Self, TrainError> {
        let started = Instant::now();
        let observer = &mut |_: &crate::Event<'_>| crate::Flow::Continue(());
        let mut run = Run::ready(trainer, observer, |config, _, _| {
            Ok((RunFolder::unwritten(config), None))
        })?;
        let readying = seconds(started.elapsed());
        let steps = run.time_steps(steps)?;
        let draws = run.config.preview.is_on();
        let previews = draws.then(|| time(|| run.draw_previews())).transpose()?;
        let measures = run.heldout.is_some();
        let heldout = measures.then(|| time(|| run.measure())).transpose()?;
        let checkpoint = time(|| Ok(run.checkpoint()?.into_bytes()?))?;
        let file = time(|| Ok(run.learner.model_mut().to_lora_file()))?;
        Ok(Self {
            readying,
            steps,
            previews,
            heldout,
            checkpoint,
            file,
        })
    }
}

impl Run<'_> {
    fn time_steps(&mut self, count: usize) -> Result<Vec<f64>, TrainError> {
        let (batch_size, seed) = (self.config.train.batch_size, self.config.train.seed);
        let accumulation = self.config.train.accumulation.get();
        let mut taken = Vec::with_capacity(count + 1);
        // A short run is gone through as often as it takes.
        for epoch in 1.. {
            let batches = epoch_plan(self.data.as_ref(), batch_size, seed, epoch);
            for batches in batches.chunks(accumulation) {
                if taken.len() > count {
                    break;
                }
                let step = || {
                    self.step(epoch, batches)?;
                    self.outcome.steps += 1;
                    // Waits for the device.
                    self.settle()
                };
                taken.push(time(step)?);
            }
            if taken.len() > count || batches.is_empty() {
                break;
            }
        }
        Ok(taken.split_off(1.min(taken.len())))
    }
}

fn time<T>(work: impl FnOnce() -> Result<T, TrainError>) -> Result<f64, TrainError> {
    let started = Instant::now();
    work()?;
    Ok(seconds(started.elapsed()))
}

fn seconds(duration: Duration) -> f64 {
    duration.as_secs_f64()
}
