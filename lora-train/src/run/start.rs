//! Everything that comes before the first step.

use std::time::Instant;

use burn::tensor::Device;
use lora_core::{
    BaseModel,
    adapter::{self, Injected},
};
use lora_data::Dataset;

use super::{
    Run,
    going_on::{Opened, open},
};
use crate::{
    DrawSettings, Event, Feed, Flow, Handle, Learner, Observer, Outcome, PlanError, Prompt, Resume,
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
    trainer::varies,
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
        let (frozen, stopping) = cached(&config, pictures, &model, &device, (observer, &handle))?;
        let chooser = || Chooser::of(&config, data.as_ref(), heldout.as_deref());
        let chooser = if stopping { None } else { chooser()? };
        let Frozen {
            latents,
            heldout,
            texts,
            ..
        } = frozen;
        let mut facts = facts(&config, data.as_ref(), &model, &plan, hashes_of);
        if let Some(other) = &times_of {
            facts.training_started_at = other.started_at;
        }
        let ledger = Ledger::new(&config, sources.clone(), facts.training_started_at)
            .of_config_alone(from_config);
        let origin = RunOrigin::new(&config, &sources, facts.sd_model_hashes.as_ref(), &device);
        let injected = inject(&mut model, &config, &device)?;
        for replica in &mut replicas {
            let device = replica.unet.device();
            inject(replica, &config, &device)?;
        }
        for model in replicas.iter_mut().chain([&mut model]) {
            let checkpointing = config.train.gradient_checkpointing;
            model.unet.set_checkpointing(checkpointing);
        }
        let spec = config.adapters();
        let modules = model.rate_factors(&spec);
        let keys = model.factors();
        let rates = learning_rates(&config.train, spec.freeze_down, keys.keys(), &modules);
        if config.model.offload {
            // Views that change from showing to showing are encoded when they come up.
            for model in replicas.iter_mut().chain([&mut model]) {
                release(model, !varies(data.as_ref()), texts.is_some());
            }
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
            heldout,
            chooser,
            objective,
            schedule,
            handle,
            observer,
            sources,
            origin,
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
}

/// What the frozen networks say, told picture by picture, and whether it was stopped on the way.
fn cached(
    config: &TrainConfig,
    (data, heldout): (&dyn Dataset, Option<&dyn Dataset>),
    model: &BaseModel,
    device: &Device,
    (observer, handle): (&mut dyn Observer, &Handle),
) -> Result<(Frozen, bool), TrainError> {
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
    let frozen = Frozen::compute(config, data, heldout, model, device, told)?;
    Ok((frozen, stopping))
}

/// The previews' prompts, which were checked with the plan.
fn previews(config: &TrainConfig) -> Vec<Prompt> {
    let prompts = config.preview.prompts.iter();
    let prompts = prompts.filter_map(|line| Prompt::parse(line, &config.preview).ok());
    prompts.collect()
}

/// Frees what is not needed while training and can be read again.
fn release(model: &mut BaseModel, vae: bool, text: bool) {
    if vae {
        model.vae.release();
    }
    if text {
        model.text.release();
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

fn refused(problem: String) -> TrainError {
    TrainError::Plan(PlanError {
        problems: vec![problem],
    })
}
