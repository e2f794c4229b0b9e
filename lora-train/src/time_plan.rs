use std::{collections::BTreeSet, num::NonZeroUsize, time::Instant};

use serde::Serialize;

use crate::{
    Plan, TrainError, Trainer,
    bench::median,
    config::TrainConfig,
    file_plan::{checkpoints_of, preview_rounds},
    run::MeasuredTimes,
};

/// How long a run will take, from a few steps that were timed. All times are seconds.
///
/// Not told is what the disk takes for files, which is little beside the rest.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimePlan {
    /// Loading the model and looking at the pictures.
    pub loading: f64,
    /// What comes before the first step: latents, text states, adapters.
    pub readying: f64,
    /// The steps that were timed, in order.
    pub timed_steps: Vec<f64>,
    /// A step: their median.
    pub step: f64,
    /// Steps of the run.
    pub steps: u64,
    /// The previews of all prompts together, where there are any.
    pub preview: Option<f64>,
    /// How often they are drawn.
    pub previews: u64,
    /// A measure on the held-out pictures, where there are any.
    pub heldout: Option<f64>,
    /// How often that is taken.
    pub heldouts: u64,
    /// A saved file.
    pub file: f64,
    /// Files of epochs, and the last one.
    pub files: u64,
    /// A checkpoint.
    pub checkpoint: f64,
    /// How many are written.
    pub checkpoints: u64,
    /// Steps, previews, measures, files and checkpoints: what a run tells as its time.
    pub training: f64,
    /// The same with what comes before.
    pub total: f64,
}

impl TimePlan {
    /// Loads everything and takes a step that does not count, then `steps` that do, and does once whatever else the run would
    /// do. Nothing is written, but for what a cache on the disk keeps.
    ///
    /// # Errors
    /// As [`Trainer::open`] and [`Trainer::run`].
    pub fn measure(config: &TrainConfig, steps: NonZeroUsize) -> Result<Self, TrainError> {
        Plan::check(config)?;
        let started = Instant::now();
        let trainer = Trainer::load(config.clone(), None)?;
        let loading = started.elapsed().as_secs_f64();
        let plan = trainer.plan().clone();
        let times = MeasuredTimes::of(trainer, steps.get())?;
        Ok(Self::new(config, &plan, loading, times))
    }

    fn new(config: &TrainConfig, plan: &Plan, loading: f64, times: MeasuredTimes) -> Self {
        let MeasuredTimes {
            readying,
            steps: timed_steps,
            previews: preview,
            heldout,
            checkpoint,
            file,
        } = times;
        let (previews, _) = preview_rounds(config, plan);
        let heldouts = heldout.map_or(0, |_| measures(config, plan));
        let files = plan.saved_epochs.len() as u64 + 1;
        let checkpoints = match config.checkpoint.keep {
            0 => 0,
            _ => checkpoints_of(config, plan),
        };
        let step = median(&timed_steps);
        let parts = [
            (step, plan.steps),
            (preview.unwrap_or_default(), previews),
            (heldout.unwrap_or_default(), heldouts),
            (file, files),
            (checkpoint, checkpoints),
        ];
        let training = parts
            .iter()
            .map(|(seconds, count)| seconds * *count as f64)
            .sum();
        Self {
            loading,
            readying,
            timed_steps,
            step,
            steps: plan.steps,
            preview,
            previews,
            heldout,
            heldouts,
            file,
            files,
            checkpoint,
            checkpoints,
            training,
            total: loading + readying + training,
        }
    }
}

/// How often a run measures: before the first step, every so many steps and with each saved epoch, once at each step.
fn measures(config: &TrainConfig, plan: &Plan) -> u64 {
    let every = config.heldout.every;
    let mut steps = BTreeSet::from([0]);
    let in_between = plan.steps.checked_div(every).unwrap_or(0);
    steps.extend((1..=in_between).map(|count| count * every));
    let saved = plan.saved_epochs.iter().copied();
    let ends = saved.chain((1..=plan.epochs).filter(|&epoch| config.heldout.is_due_after(epoch)));
    steps.extend(ends.map(|epoch| (epoch * plan.steps_per_epoch).min(plan.steps)));
    steps.len() as u64
}
