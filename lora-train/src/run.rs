//! The training loop.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor};
use lora_core::{
    BaseModel,
    adapter::{self, Injected},
    lora_file::TrainingFacts,
};
use lora_data::{Dataset, Exposure, epoch_plan};
use lora_optim::{Rates, Schedule};

use crate::{
    BadStep, DrawSettings, Event, Feed, FeedAt, Flow, Handle, HeldoutLoss, Learner, Objective,
    Observer, Outcome, Plan, PlanError, Prompt, Resume, RunFolder, StepReport, TrainError, Trainer,
    checkpoint::{self, Checkpoint, Record, Sources, Standing},
    config::TrainConfig,
    ema::averaged_twice,
    facts::facts,
    frozen::Frozen,
    learning_rates::{learning_rates, part_rates},
    meter::Meter,
    trainer::varies,
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
    pub(crate) facts: TrainingFacts,
    pub(crate) outcome: Outcome,
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
    /// The epoch that the next step is of, from 1, and how many of its steps are done.
    position: (u64, usize),
    /// What the config's learning rates are multiplied by.
    rate_factor: f64,
    /// Steps in a row, up to now, whose numbers went wrong.
    bad_in_a_row: u64,
    started: Instant,
    /// Seconds that the run took before it went on.
    before: f64,
}

impl<'a> Run<'a> {
    /// Makes the run folder, caches the latents and puts fresh adapters into the model.
    pub(crate) fn start(
        trainer: Trainer,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, TrainError> {
        let Trainer {
            config,
            plan,
            device,
            data,
            heldout,
            mut model,
            optimizer,
            schedule,
            objective,
            handle,
            resume,
        } = trainer;
        // A config's own optimiser was checked with the plan; this may be another.
        if let Some(problem) = averaged_twice(&config.ema, optimizer.as_ref()) {
            return Err(refused(problem));
        }
        let sources = Sources::of(&config, data.as_ref())?;
        let checkpoint = match &resume {
            Some(resume) => found(&config, resume, &sources)?,
            None => None,
        };
        let folder = match &checkpoint {
            Some(checkpoint) => RunFolder::resume(&config, checkpoint.record.metrics)?,
            None if resume.is_some() => RunFolder::begin_again(&config)?,
            None => RunFolder::create(&config)?,
        };
        let total = data.entries().len();
        let mut stopping = false;
        let told = |done, found| {
            let flow = observer.on_event(&Event::Cached { done, found, total });
            stopping |= flow.is_break() || handle.is_stopping();
            if stopping {
                Flow::Break(())
            } else {
                Flow::Continue(())
            }
        };
        let frozen = Frozen::compute(
            &config,
            data.as_ref(),
            heldout.as_deref(),
            &model,
            &device,
            told,
        )?;
        let Frozen {
            latents,
            heldout,
            texts,
            ..
        } = frozen;
        let facts = facts(&config, data.as_ref(), &model, &plan);
        let injected = inject(&mut model, &config, &device)?;
        let spec = config.adapters();
        let modules = model.rate_factors(&spec);
        let keys = model.factors();
        let rates = learning_rates(&config.train, spec.freeze_down, keys.keys(), &modules);
        if config.model.offload {
            // Views that change from showing to showing are encoded when they come up.
            if !varies(data.as_ref()) {
                model.vae.release();
            }
            if texts.is_some() {
                model.text.release();
            }
            device.memory_cleanup();
        }
        let prompts = config
            .preview
            .prompts
            .iter()
            .filter_map(|line| Prompt::parse(line, &config.preview).ok())
            .collect();
        let mut run = Self {
            facts,
            feed: Feed::new(
                &config,
                latents,
                texts,
                model.scheduler.num_train_timesteps,
                &device,
            ),
            drawing: DrawSettings::of_run(&config),
            learner: Learner::new(model, optimizer, config.train.max_grad_norm)
                .with_rules(&spec, config.train.seed)
                .freeze(&rates)
                .with_ema(&config.ema),
            rates,
            outcome: Outcome::default(),
            meter: Meter::new(),
            injected,
            stopping,
            config,
            plan,
            device,
            data,
            folder,
            prompts,
            heldout,
            objective,
            schedule,
            handle,
            observer,
            sources,
            position: (1, 0),
            bad_in_a_row: 0,
            rate_factor: 1.0,
            started: Instant::now(),
            before: 0.0,
        };
        if let Some(checkpoint) = checkpoint {
            run.go_on(checkpoint)?;
        }
        Ok(run)
    }

    /// Takes everything up where a checkpoint left it.
    fn go_on(&mut self, checkpoint: Checkpoint) -> Result<(), TrainError> {
        let Checkpoint {
            record,
            params,
            optimizer,
            ema,
        } = checkpoint;
        self.learner.restore(params, optimizer, ema, &self.device)?;
        self.meter.restore(record.meter);
        self.position = (record.epoch, record.steps_of_epoch);
        self.facts.training_started_at = record.started_at;
        self.before = record.outcome.seconds;
        self.rate_factor = record.rate_factor;
        self.outcome = Outcome {
            stopped: false,
            ended_early: false,
            ..record.outcome
        };
        Ok(())
    }

    /// The loop: every decision of a training run, in order.
    pub(crate) fn train(mut self) -> Result<Outcome, TrainError> {
        let Injected {
            modules,
            parameters,
        } = self.injected;
        self.tell(&Event::Started {
            steps: self.plan.steps,
            done: self.outcome.steps,
            modules,
            parameters,
        })?;
        let (batch_size, accumulation) = (
            self.config.train.batch_size,
            self.config.train.accumulation.get(),
        );
        if !self.stopping && self.outcome.steps == 0 {
            self.measure()?;
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
            if self.plan.saved_epochs.contains(&epoch) && epoch < self.plan.epochs {
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
            self.save_ranking()?;
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
        let mut losses = Vec::with_capacity(batches.len());
        let first_pass = self.outcome.steps * batches_of_a_step;
        let mut timesteps = Vec::new();
        for (pass, showings) in (first_pass..).zip(batches) {
            let at = FeedAt {
                epoch,
                step: self.outcome.steps,
                steps: self.plan.steps,
            };
            let batch = self
                .feed
                .batch(self.learner.model(), self.data.as_ref(), at, showings)?;
            losses.push(self.learner.drop_out(pass).accumulate(
                self.objective.as_ref(),
                &batch,
                weight,
            ));
            timesteps.extend(batch.timesteps);
        }
        let (loss, norm) = (Tensor::cat(losses, 0).mean(), self.learner.clip());
        if self.config.train.max_bad_steps > 0 {
            // host sync here
            if let Some(numbers) = not_finite(&loss, norm.as_ref()) {
                return self.skip(numbers, batches, timesteps);
            }
            self.bad_in_a_row = 0;
        }
        let rates = self.present_rates(self.outcome.steps);
        self.learner.update(&rates)?;
        self.meter.record(loss, norm);
        Ok(())
    }

    /// Passes over a step whose loss and norm are no numbers; too many in a row end the run.
    fn skip(
        &mut self,
        [loss, grad_norm]: [f32; 2],
        batches: &[Vec<Exposure>],
        timesteps: Vec<usize>,
    ) -> Result<(), TrainError> {
        self.bad_in_a_row += 1;
        self.outcome.skipped += 1;
        let shown = batches.iter().flatten();
        let entries = self.data.entries();
        let bad = BadStep {
            step: self.outcome.steps + 1,
            in_a_row: self.bad_in_a_row,
            loss: loss.to_string(),
            grad_norm: grad_norm.to_string(),
            layer: self.learner.broken_gradient().map(str::to_owned),
            pictures: shown
                .map(|showing| entries[showing.index].image.clone())
                .collect(),
            timesteps,
        };
        self.learner.discard();
        self.tell(&Event::Skipped(&bad))?;
        if self.bad_in_a_row < self.config.train.max_bad_steps {
            return Ok(());
        }
        if self.outcome.steps > 0 {
            self.put_down()?;
        }
        Err(TrainError::BadSteps { bad: Box::new(bad) })
    }

    /// The rates of a step, from 0.
    fn present_rates(&self, step: u64) -> Rates {
        self.rates.scaled(self.schedule.at(step) * self.rate_factor)
    }

    /// Obeys what was told since the last step, and waits as long as the run is paused.
    fn obey(&mut self) -> Result<(), TrainError> {
        let step = self.outcome.steps;
        let paused = self.handle.is_paused() && !self.handle.is_stopping();
        if paused {
            self.tell(&Event::Paused { step })?;
        }
        while self.handle.is_paused() && !self.handle.is_stopping() && !self.stopping {
            self.handle.wait_a_moment();
            if self.handle.take_sample() {
                self.preview()?;
            }
            if self.handle.take_save() {
                self.save_step()?;
            }
        }
        if paused {
            self.tell(&Event::Resumed { step })?;
        }
        if let Some(factor) = self.handle.take_rate_factor() {
            self.rate_factor = factor;
            self.tell(&Event::RatesScaled { step, factor })?;
        }
        Ok(())
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
        let report = StepReport {
            step,
            steps,
            epoch: self.outcome.epochs,
            loss: reading.loss,
            smooth_loss: reading.smooth_loss,
            grad_norm: reading.grad_norm,
            learning_rate: self.present_rates(step.saturating_sub(1)).at("lora_unet"),
            steps_per_second: reading.seconds_per_step.recip(),
            left: Duration::from_secs_f64(left),
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
            self.measure()?;
        }
        if self.handle.take_save() {
            self.save_step()?;
        }
        if due(self.config.checkpoint.every) {
            self.put_down()?;
        }
        Ok(())
    }

    /// Puts down everything that is needed to go on from here. Waits for the device.
    fn put_down(&mut self) -> Result<(), TrainError> {
        let keep = self.config.checkpoint.keep;
        if keep == 0 {
            return Ok(());
        }
        // What is broken already must not take the place of what is not.
        self.settle()?;
        self.outcome.seconds = self.seconds();
        let standing = Standing {
            outcome: self.outcome.clone(),
            epoch: self.position.0,
            steps_of_epoch: self.position.1,
            started_at: self.facts.training_started_at,
            metrics: self.folder.metrics_length()?,
            meter: self.meter.record_of(),
            rate_factor: self.rate_factor,
        };
        let [params, optimizer, ema] = self.learner.states();
        let checkpoint = Checkpoint {
            record: Record::new(standing, self.sources.clone()),
            params: params.unwrap_or_default(),
            optimizer: optimizer.unwrap_or_default(),
            ema,
        };
        checkpoint::write(self.folder.path(), self.outcome.steps, checkpoint)?;
        checkpoint::prune(self.folder.path(), keep)?;
        Ok(())
    }

    /// Seconds that the run has taken, those before it went on included.
    fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
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

/// Puts fresh adapters into the parts that learn. One whose rate is 0 gets none, which of two text encoders may be the
/// fate of one.
fn inject(
    model: &mut BaseModel,
    config: &TrainConfig,
    device: &Device,
) -> Result<Injected, TrainError> {
    let (spec, rates) = (config.adapters(), part_rates(&config.train));
    let mut sum = Injected::default();
    for network in model.networks() {
        if rates.at(network.naming().prefix) > 0.0 {
            let injected = adapter::inject(network, &spec, config.train.seed, device)?;
            sum.modules += injected.modules;
            sum.parameters += injected.parameters;
        }
    }
    if sum.modules == 0 {
        let problem =
            "no part of this model that lora.targets names has a learning rate above 0".to_owned();
        return Err(refused(problem));
    }
    Ok(sum)
}

/// The checkpoint to go on from, if there is any. Newer ones that cannot be read are told and passed over.
fn found(
    config: &TrainConfig,
    resume: &Resume,
    sources: &Sources,
) -> Result<Option<Checkpoint>, TrainError> {
    let (found, passed_over) = checkpoint::find(&config.output.folder, resume, sources)?;
    for error in passed_over {
        tracing::warn!("{error}");
    }
    let Some((path, checkpoint)) = found else {
        tracing::warn!("no checkpoint to go on from; beginning anew");
        return Ok(None);
    };
    tracing::info!(path = %path.display(), steps = checkpoint.record.outcome.steps, "going on");
    Ok(Some(checkpoint))
}

/// Loss and gradient norm, where one of them is not a finite number. Waits for the device.
fn not_finite(loss: &Tensor<1>, norm: Option<&Tensor<1>>) -> Option<[f32; 2]> {
    let norm = norm.cloned().unwrap_or_else(|| loss.zeros_like());
    let numbers = Tensor::cat(vec![loss.clone(), norm], 0).into_data();
    let numbers: Vec<f32> = numbers.iter::<f32>().collect();
    let [loss, norm] = numbers[..] else {
        return None;
    };
    (!(loss.is_finite() && norm.is_finite())).then_some([loss, norm])
}

fn refused(problem: String) -> TrainError {
    TrainError::Plan(PlanError {
        problems: vec![problem],
    })
}
