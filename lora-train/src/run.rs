//! The training loop.

mod bad_step;
mod commands;
mod going_on;
mod measuring;
mod start;

pub(crate) use measuring::MeasuredTimes;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use burn::tensor::{Device, Tensor};
use lora_core::{BaseModel, adapter::Injected, lora_file::TrainingFacts};
use lora_data::{Dataset, Exposure, epoch_plan};
use lora_optim::{Rates, Schedule};

use crate::{
    Batch, DrawSettings, EVENT_FORMAT, Event, Feed, FeedAt, Handle, HeldoutLoss, Learner,
    Objective, Observer, Outcome, Plan, Prompt, RunFolder, RunOrigin, StepReport, TrainError,
    checkpoint::Sources,
    choosing::Chooser,
    config::TrainConfig,
    meter::{Meter, PassLoss},
    reproduce::Ledger,
    resident::{peak_resident, present_resident},
    run::bad_step::not_finite,
};

/// A run under way.
pub(crate) struct Run<'a> {
    pub(crate) config: TrainConfig,
    pub(crate) plan: Plan,
    pub(crate) device: Device,
    pub(crate) data: Box<dyn Dataset>,
    pub(crate) learner: Learner,
    pub(crate) folder: RunFolder,
    pub(crate) prompts: Vec<Prompt>,
    pub(crate) drawing: DrawSettings,
    pub(crate) heldout: Option<HeldoutLoss>,
    pub(crate) chooser: Option<Chooser>,
    pub(crate) facts: TrainingFacts,
    pub(crate) outcome: Outcome,
    /// What it is made from, and its files with their hashes.
    pub(crate) ledger: Ledger,
    /// A run whose times files are to tell instead of the present one.
    pub(crate) times_of: Option<Ledger>,
    feed: Feed,
    objective: Box<dyn Objective>,
    schedule: Box<dyn Schedule>,
    rates: Rates,
    handle: Handle,
    observer: &'a mut dyn Observer,
    meter: Meter,
    injected: Injected,
    stopping: bool,
    sources: Sources,
    origin: RunOrigin,
    /// The epoch that the next step is of, from 1, and how many of its steps are done.
    position: (u64, usize),
    /// What the config's learning rates are multiplied by.
    rate_factor: f64,
    pub(crate) marks: Marks,
    started: Instant,
}

/// What a run remembers of its way beside what its outcome tells.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// Steps in a row, up to now, whose numbers went wrong.
    bad_in_a_row: u64,
    /// Checkpoints of later steps than the one that the run went on from, which go when it has put down one of its own.
    left_way: Vec<PathBuf>,
    /// The step of the last checkpoint.
    put_down_at: u64,
    /// The step of the last previews.
    pub(crate) drawn_at: Option<u64>,
    /// Seconds that the run took before it went on.
    seconds_before: f64,
}

impl Run<'_> {
    /// Trains to the end, or until it is stopped. Where something fails on the way, what was learnt before is put down.
    pub(crate) fn train(mut self) -> Result<Outcome, TrainError> {
        let trained = self.train_on();
        if trained.is_err()
            && self.outcome.steps > self.marks.put_down_at
            && let Err(error) = self.put_down()
        {
            tracing::warn!("no checkpoint of step {}: {error}", self.outcome.steps);
        }
        trained
    }

    /// The loop: every decision of a training run, in order.
    fn train_on(&mut self) -> Result<Outcome, TrainError> {
        let Injected {
            modules,
            parameters,
        } = self.injected;
        let origin = self.origin.clone();
        self.tell(&Event::Started {
            format: EVENT_FORMAT,
            origin: &origin,
            steps: self.plan.steps,
            done: self.outcome.steps,
            modules,
            parameters,
        })?;
        let (batch_size, accumulation) = (
            self.config.train.batch_size,
            self.config.train.accumulation.get(),
        );
        if !self.stopping && !self.handle.is_stopping() && self.outcome.steps == 0 {
            self.measure()?;
            if self.config.preview.at_start {
                self.preview()?;
            }
        }
        let (first, done) = self.position;
        'epochs: for epoch in first..=self.plan.epochs {
            if self.outcome.ended_early {
                break;
            }
            self.outcome.epochs = epoch;
            let batches = epoch_plan(
                self.data.as_ref(),
                batch_size,
                self.config.train.seed,
                epoch,
            );
            let done = if epoch == first { done } else { 0 };
            self.position = (epoch, done);
            for batches in batches.chunks(accumulation).skip(done) {
                self.obey()?;
                if self.stopping
                    || self.outcome.ended_early
                    || self.handle.is_stopping()
                    || self.outcome.steps == self.plan.steps
                {
                    break 'epochs;
                }
                self.step(epoch, batches)?;
                self.outcome.steps += 1;
                self.position.1 += 1;
                if self
                    .outcome
                    .steps
                    .is_multiple_of(self.config.train.log_every.get() as u64)
                {
                    self.report()?; // host sync here
                }
                self.look()?;
            }
            if self.config.preview.is_due_after(epoch) {
                self.preview_last()?;
            }
            if self.config.heldout.is_due_after(epoch) {
                self.measure_last()?;
            }
            if self.plan.saved_epochs.contains(&epoch) && epoch < self.plan.epochs {
                self.put_down()?; // what follows takes its time, and may fail
                self.save_epoch(epoch)?;
                self.position = (epoch + 1, 0);
                self.put_down()?;
            }
        }
        self.report()?;
        self.outcome.stopped = self.outcome.steps < self.plan.steps && !self.outcome.ended_early;
        if !self.outcome.stopped {
            self.put_down()?;
            // A run that ended early has just saved its last epoch.
            let last = self.outcome.ranked.last().map(|file| file.step);
            if last != Some(self.outcome.steps) {
                self.save_epoch(self.outcome.epochs)?;
            }
            self.save_last()?;
            self.ledger.ended = true;
            self.ledger.write(&self.folder)?;
        } else if self.outcome.steps > 0 {
            self.put_down()?;
            self.save_step()?;
        }
        self.outcome.seconds = self.seconds();
        let outcome = self.outcome.clone();
        self.tell(&Event::Finished(&outcome))?;
        Ok(outcome)
    }

    /// One optimiser step over the gradients of some batches; waits for nothing.
    fn step(&mut self, epoch: u64, batches: &[Vec<Exposure>]) -> Result<(), TrainError> {
        self.meter.start();
        // As in accelerate, a short last group keeps the weight of a full one.
        let batches_of_a_step = self.config.train.accumulation.get() as u64;
        let weight = 1.0 / batches_of_a_step as f64;
        let mut passes = Vec::with_capacity(batches.len());
        let first_pass = self.outcome.steps * batches_of_a_step;
        let at = FeedAt {
            epoch,
            step: self.outcome.steps,
            steps: self.plan.steps,
        };
        for (round, showings) in batches.chunks(self.learner.workers()).enumerate() {
            let (feed, data) = (&self.feed, self.data.as_ref());
            let batches = showings.iter();
            let batches =
                batches.map(|showings| feed.batch(self.learner.model(), data, at, showings));
            let batches: Vec<Batch> = batches.collect::<Result<_, _>>()?;
            let pass = first_pass + (round * self.learner.workers()) as u64;
            let objective = self.objective.as_ref();
            let losses = self
                .learner
                .accumulate_each(objective, &batches, pass, weight);
            let told = losses.into_iter().zip(batches);
            passes.extend(told.map(|(losses, batch)| PassLoss {
                losses,
                timesteps: batch.timesteps,
            }));
        }
        let means = passes.iter().map(|pass| pass.losses.clone().mean());
        let loss = Tensor::cat(means.collect(), 0).mean();
        let norm = self.learner.clip();
        if self.config.train.max_bad_steps > 0 {
            // host sync here
            if let Some(numbers) = not_finite(&loss, norm.as_ref()) {
                let timesteps = passes.into_iter().flat_map(|pass| pass.timesteps);
                return self.skip(numbers, batches, timesteps.collect());
            }
            self.marks.bad_in_a_row = 0;
        }
        let rates = self.present_rates(self.outcome.steps);
        self.learner.update(&rates)?;
        self.meter.record(loss, norm, passes);
        Ok(())
    }

    /// The rates of a step, from 0.
    fn present_rates(&self, step: u64) -> Rates {
        self.rates.scaled(self.schedule.at(step) * self.rate_factor)
    }

    /// Makes sure that every step so far gave finite numbers. Waits for the device.
    pub(crate) fn settle(&mut self) -> Result<(), TrainError> {
        let first = self.outcome.steps - self.meter.pending() as u64;
        let not_finite = |place| TrainError::NotFinite {
            step: first + place as u64 + 1,
        };
        self.meter.settle().map_err(not_finite)
    }

    /// Reads the losses since the last report back and tells them.
    fn report(&mut self) -> Result<(), TrainError> {
        self.settle()?;
        let (step, steps) = (self.outcome.steps, self.plan.steps);
        let pending = self.meter.pending() as f64;
        let Some(reading) = self.meter.read() else {
            return Ok(());
        };
        self.outcome.loss = reading.smooth_loss;
        self.outcome.training_seconds += reading.seconds_per_step * pending;
        let left = reading.seconds_per_step * (steps - step) as f64;
        let rates = self.present_rates(step.saturating_sub(1));
        let report = StepReport {
            step,
            steps,
            epoch: self.outcome.epochs,
            loss: reading.loss,
            smooth_loss: reading.smooth_loss,
            balanced_loss: reading.balanced_loss,
            loss_by_timestep: reading.loss_by_timestep,
            grad_norm: reading.grad_norm,
            learning_rate: rates.at("lora_unet"),
            text_learning_rate: self.config.trains_text().then(|| rates.at("lora_te")),
            steps_per_second: reading.seconds_per_step.recip(),
            pictures_per_second: reading.pictures_per_step / reading.seconds_per_step,
            left: Duration::from_secs_f64(left),
            resident_bytes: present_resident(),
            peak_resident_bytes: peak_resident(),
        };
        self.tell(&Event::Stepped(&report))
    }

    /// Previews, measures and files that are due or were asked for after a step.
    fn look(&mut self) -> Result<(), TrainError> {
        let step = self.outcome.steps;
        let due = |every: u64| every > 0 && step.is_multiple_of(every);
        if due(self.config.preview.every) || self.handle.take_sample() {
            self.preview()?;
        }
        if due(self.config.heldout.every) {
            self.measure_last()?;
        }
        if due(self.config.output.save_every_steps) || self.handle.take_save() {
            self.save_step()?;
        }
        if due(self.config.checkpoint.every) {
            self.put_down()?;
        }
        Ok(())
    }

    /// Logs an event and tells the observer, who may ask to stop.
    pub(crate) fn tell(&mut self, event: &Event<'_>) -> Result<(), TrainError> {
        self.folder.log(event)?;
        self.stopping |= self.observer.on_event(event).is_break();
        Ok(())
    }

    /// The model with its present adapters.
    pub(crate) fn model(&self) -> &BaseModel {
        self.learner.model()
    }
}
