use std::{num::NonZeroU64, time::Instant};

use serde::Serialize;

use super::present_resident;
use crate::{Event, Flow, Plan, RunRecord, TrainError, Trainer, config::TrainConfig};

/// A run so long that whatever memory it does not give back shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Soak {
    /// The run. How long it goes on and how often it saves is changed, all else is done as it says.
    pub config: TrainConfig,
    /// Steps.
    pub steps: NonZeroU64,
    /// Steps between two looks at the memory.
    pub every: NonZeroU64,
}

/// So often a soak saves a file and a checkpoint.
const SAVES: u64 = 20;

/// The memory at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SoakSample {
    /// Steps done.
    pub step: u64,
    /// Bytes in RAM.
    pub resident: u64,
}

/// What came of a soak.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SoakReport {
    /// Steps done.
    pub steps: u64,
    /// Seconds that it took.
    pub seconds: f64,
    /// The memory, look by look.
    pub samples: Vec<SoakSample>,
    /// How much more was in RAM at the last look than at the first, as a part of that; unset where the system does not tell.
    pub growth: Option<f64>,
}

impl Soak {
    /// Trains, and tells of the memory at each look, notes kept as `lora train` keeps them.
    ///
    /// # Errors
    /// As [`Trainer::open`] and [`Trainer::run`].
    pub fn measure(&self, told: &mut dyn FnMut(SoakSample)) -> Result<SoakReport, TrainError> {
        let mut config = self.config.clone();
        let steps = self.steps.get();
        config.train.max_steps = Some(steps);
        config.train.epochs = 1;
        let epochs = steps.div_ceil(Plan::open(&config)?.steps_per_epoch.max(1));
        config.train.epochs = epochs;
        config.output.save_every_epochs = epochs.div_ceil(SAVES);
        let started = Instant::now();
        let (mut samples, every) = (Vec::new(), self.every.get());
        let mut record = RunRecord::default();
        let trainer = Trainer::open(config)?;
        let outcome = trainer.run(&mut |event: &Event<'_>| {
            record.note(event);
            // At the first report after each so many steps.
            let looks = samples.len() as u64;
            if let Event::Stepped(report) = event
                && report.step >= (looks + 1) * every
                && let Some(resident) = present_resident()
            {
                let step = report.step;
                let sample = SoakSample { step, resident };
                samples.push(sample);
                told(sample);
            }
            Flow::Continue(())
        })?;
        let ends = samples.first().zip(samples.last());
        let growth = ends.map(|(first, last): (&SoakSample, &SoakSample)| {
            last.resident as f64 / first.resident as f64 - 1.0
        });
        Ok(SoakReport {
            steps: outcome.steps,
            seconds: started.elapsed().as_secs_f64(),
            samples,
            growth,
        })
    }
}
