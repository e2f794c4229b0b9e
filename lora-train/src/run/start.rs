//! Everything that comes before the first step.

use std::{path::Path, time::Instant};

use burn::tensor::Device;
use lora_core::{
    BaseModel,
    adapter::{self, Injected},
    lora_file::LoraFile,
};

use super::{
    Marks, Run,
    going_on::{Opened, open},
};
use crate::{
    DrawSettings, EncodedOnce, Feed, Learner, Observer, Outcome, PlanError, Prompt, Resume,
    RunOrigin, TrainError, Trainer,
    checkpoint::Sources,
    choosing::Chooser,
    config::TrainConfig,
    ema::averaged_twice,
    facts::{facts, hashes_of},
    frozen::Frozen,
    learning_rates::{learning_rates, part_rates},
    meter::Meter,
    reproduce::Ledger,
};

impl<'a> Run<'a> {
    /// Makes the run folder, caches the latents and puts fresh adapters into the model.
    pub(crate) fn start(
        trainer: Trainer,
        observer: &'a mut dyn Observer,
    ) -> Result<Self, TrainError> {
        let run = Self::ready(trainer, observer, open)?;
        run.ledger.write(&run.folder)?;
        Ok(run)
    }

    /// The same in the folder, and from the checkpoint, that `open` gives.
    pub(crate) fn ready(
        trainer: Trainer,
        observer: &'a mut dyn Observer,
        open: impl FnOnce(&TrainConfig, Option<&Resume>, &Sources) -> Opened,
    ) -> Result<Self, TrainError> {
        let Trainer {
            config,
            plan,
            device,
            data,
            heldout,
            mut model,
            mut replicas,
            optimizer,
            schedule,
            objective,
            handle,
            resume,
            times_of,
            from_config,
        } = trainer;
        // A config's own optimiser was checked with the plan; this may be another.
        if let Some(problem) = averaged_twice(&config.ema, optimizer.as_ref()) {
            return Err(refused(problem));
        }
        let sources = Sources::of(&config, data.as_ref(), heldout.as_deref())?;
        let (folder, checkpoint) = open(&config, resume.as_ref(), &sources)?;
        let pictures = (data.as_ref(), heldout.as_deref());
        let Frozen {
            latents,
            heldout: heldout_loss,
            texts,
            stopped: stopping,
            ..
        } = Frozen::compute(
            &config,
            pictures,
            &model,
            &device,
            (&mut *observer, &handle),
        )?;
        let chooser = || Chooser::of(&config, data.as_ref(), heldout.as_deref());
        let chooser = if stopping { None } else { chooser()? };
        let mut facts = facts(&config, data.as_ref(), &model, &plan, hashes_of);
        if let Some(other) = &times_of {
            facts.training_started_at = other.started_at;
        }
        let ledger = Ledger::new(&config, sources.clone(), facts.training_started_at)
            .of_config_alone(from_config);
        let origin = RunOrigin::new(&config, &sources, facts.sd_model_hashes.as_ref(), &device);
        let injected = inject(&mut model, &config)?;
        for replica in &mut replicas {
            inject(replica, &config)?;
        }
        let checkpointing = config.train.gradient_checkpointing;
        let models = replicas.iter_mut().chain([&mut model]);
        models.for_each(|model| model.unet.set_checkpointing(checkpointing));
        let spec = config.adapters();
        let modules = model.rate_factors(&spec);
        let freeze_down = spec.freeze_down;
        let rates = learning_rates(&config.train, freeze_down, model.factors().keys(), &modules);
        if config.model.offload {
            let models = replicas.iter_mut().chain([&mut model]);
            models.for_each(|model| release(model, plan.encoded_once));
            device.memory_cleanup();
        }
        let timesteps = model.scheduler.num_train_timesteps;
        let mut run = Self {
            facts,
            feed: Feed::new(&config, latents, texts, timesteps, &device),
            drawing: DrawSettings::of_run(&config),
            prompts: previews(&config),
            learner: Learner::new(model, optimizer, config.train.max_grad_norm)
                .with_replicas(replicas)
                .with_rules(&spec, config.train.seed)
                .freeze(&rates)
                .with_ema(&config.ema),
            rates,
            outcome: Outcome::default(),
            ledger,
            times_of,
            meter: Meter::new(timesteps),
            injected,
            stopping,
            config,
            plan,
            device,
            data,
            folder,
            heldout: heldout_loss,
            chooser,
            objective,
            schedule,
            handle,
            observer,
            sources,
            origin,
            position: (1, 0),
            rate_factor: 1.0,
            marks: Marks::default(),
            started: Instant::now(),
        };
        if let Some(checkpoint) = checkpoint {
            run.go_on(checkpoint)?;
        }
        Ok(run)
    }
}

/// The previews' prompts, which were checked with the plan.
fn previews(config: &TrainConfig) -> Vec<Prompt> {
    let prompts = config.preview.prompts.iter();
    let prompts = prompts.filter_map(|line| Prompt::parse(line, &config.preview).ok());
    prompts.collect()
}

/// Frees what is not needed while training and can be read again.
fn release(model: &mut BaseModel, encoded_once: EncodedOnce) {
    if encoded_once.pictures {
        model.vae.release();
    }
    if encoded_once.captions {
        model.text.release();
    }
}

/// Puts fresh adapters into the parts that learn. One whose rate is 0 gets none, which of two text encoders may be the
/// fate of one.
fn inject(model: &mut BaseModel, config: &TrainConfig) -> Result<Injected, TrainError> {
    let device = model.unet.device();
    let (spec, rates) = (config.adapters(), part_rates(&config.train));
    let mut sum = Injected::default();
    for network in model.networks() {
        if rates.at(network.naming().prefix) > 0.0 {
            let injected = adapter::inject(network, &spec, config.train.seed, &device)?;
            sum.modules += injected.modules;
            sum.parameters += injected.parameters;
        }
    }
    if sum.modules == 0 {
        let problem =
            "no part of this model that lora.targets names has a learning rate above 0".to_owned();
        return Err(refused(problem));
    }
    if let Some(path) = &config.lora.from {
        take_over(model, path, &device)?;
    }
    Ok(sum)
}

/// Goes on from the matrices of a file.
fn take_over(model: &mut BaseModel, path: &Path, device: &Device) -> Result<(), TrainError> {
    let file = LoraFile::read_any(path)?;
    let left = adapter::take_over(&mut model.networks(), &file, device)?;
    let (all, path) = (file.names().count(), path.display());
    if left.len() == all {
        return Err(refused(format!(
            "lora.from: {path} has no module for a layer that this run trains"
        )));
    }
    if let Some(first) = left.first() {
        tracing::warn!(
            "lora.from: {} of {path}'s {all} modules are of layers that this run does not train and will not be in its files, such as {first}",
            left.len()
        );
    }
    Ok(())
}

fn refused(problem: String) -> TrainError {
    TrainError::Plan(PlanError {
        problems: vec![problem],
    })
}
