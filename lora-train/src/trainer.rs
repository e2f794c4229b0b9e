use std::path::{Path, PathBuf};

use atomic_file::WriteError;
use burn::tensor::Device;
use lora_core::{
    BaseModel, Family,
    adapter::SpecError,
    lora_file::{LoraFileError, LoraWriteError},
    weights::CheckpointError,
};
use lora_data::{DataError, Dataset, DatasetError, EmbedderError};
use lora_optim::{Optimizer, OptimizerError, Schedule, SettingError, StateError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    BadStep, CacheError, CacheUse, Denoising, DeviceError, Handle, HeldoutError, Objective,
    Observer, OpenedPictures, Plan, PlanError, PromptError, RankedFile, Resume, ResumeError,
    RunFolder, RunFolderError, config::TrainConfig, device::is_told_of_operations, frozen::Frozen,
    picture::png::PngError, reproduce::Ledger, run::Run,
};

/// One training run: everything it needs, loaded and checked.
pub struct Trainer {
    pub(crate) config: TrainConfig,
    pub(crate) plan: Plan,
    pub(crate) device: Device,
    pub(crate) data: Box<dyn Dataset>,
    pub(crate) heldout: Option<Box<dyn Dataset>>,
    pub(crate) model: BaseModel,
    /// The same model on further devices.
    pub(crate) replicas: Vec<BaseModel>,
    pub(crate) optimizer: Box<dyn Optimizer>,
    pub(crate) schedule: Box<dyn Schedule>,
    pub(crate) objective: Box<dyn Objective>,
    pub(crate) handle: Handle,
    pub(crate) resume: Option<Resume>,
    /// A run whose times files are to tell instead of the present one.
    pub(crate) times_of: Option<Ledger>,
    /// Whether everything comes from the config, so that it says all that the run is made from.
    pub(crate) from_config: bool,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Steps done.
    pub steps: u64,
    /// Steps among them that moved nothing, because their loss or gradient was no number.
    #[serde(default)]
    pub skipped: u64,
    /// Epochs begun.
    pub epochs: u64,
    /// Whether the run was stopped before its end.
    pub stopped: bool,
    /// Seconds from the first step to the last file, previews and saving included.
    pub seconds: f64,
    /// Seconds spent in training steps alone.
    pub training_seconds: f64,
    /// Smoothed loss at the end.
    pub loss: f64,
    /// Held-out losses by step.
    pub heldout: Vec<(u64, f64)>,
    /// Whether it ended before its last step because the held-out loss had stopped falling.
    #[serde(default)]
    pub ended_early: bool,
    /// Files of finished epochs, in order.
    pub files: Vec<PathBuf>,
    /// The same with what was measured of them.
    #[serde(default)]
    pub ranked: Vec<RankedFile>,
    /// The last file.
    pub last: Option<PathBuf>,
    /// The file of a finished epoch that ranks first, by what was measured of them.
    pub best: Option<PathBuf>,
    /// Its held-out loss, where there are held-out pictures.
    pub best_loss: Option<f64>,
}

impl Outcome {
    /// The same with its files in `folder`, wherever they were when it was put down.
    pub(crate) fn seen_in(mut self, folder: &Path) -> Self {
        let files = self.files.iter_mut();
        let ranked = self.ranked.iter_mut().map(|file| &mut file.path);
        let others = self.last.iter_mut().chain(&mut self.best);
        for path in files.chain(ranked).chain(others) {
            *path = folder.join(path.file_name().unwrap_or_default());
        }
        self
    }

    /// The step and the name, without extension, of the file that ranks first.
    pub fn best_step(&self) -> Option<(u64, String)> {
        let best = self.best.as_ref()?;
        let file = self.ranked.iter().find(|file| file.path == *best)?;
        let name = best.file_stem().unwrap_or_default();
        Some((file.step, name.to_string_lossy().into_owned()))
    }
}

/// Why a run could not start or go on. Files already written stay.
#[derive(Debug, Error)]
pub enum TrainError {
    /// Settings that do not work.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device is not there or not compiled in.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The base model cannot be read.
    #[error(transparent)]
    Model(#[from] CheckpointError),
    /// Pictures or captions that cannot be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// A picture that cannot be read any more.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The cache on the disk cannot be used.
    #[error("cache.folder: {0}")]
    Cache(#[from] CacheError),
    /// The held-out measure cannot be made.
    #[error(transparent)]
    Heldout(#[from] HeldoutError),
    /// Pictures cannot be compared by the network of `choose.embedding`.
    #[error("choose.embedding: {0}")]
    Embedding(#[from] EmbedderError),
    /// The adapters cannot be put into the model.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The optimiser refused the gradients.
    #[error(transparent)]
    Optimizer(#[from] OptimizerError),
    /// Another run has the folder, or an earlier one's files are there.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The LoRA file that the run is to go on from cannot be read.
    #[error("lora.from: {0}")]
    From(#[from] LoraFileError),
    /// A LoRA file cannot be written.
    #[error(transparent)]
    Save(#[from] LoraWriteError),
    /// The run cannot go on from a checkpoint.
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// A checkpoint's values are not those of this run.
    #[error("the checkpoint does not fit this run: {0}")]
    State(#[from] StateError),
    /// A preview's prompt cannot be followed.
    #[error(transparent)]
    Prompt(#[from] PromptError),
    /// A picture cannot be encoded.
    #[error(transparent)]
    Png(#[from] PngError),
    /// The numbers went wrong in too many steps in a row. What was learnt before is kept.
    #[error(
        "loss or gradient was not a finite number in {} steps in a row, the last of which was {}: {bad}; what was learnt \
         before is in the newest checkpoint, where any are kept (checkpoint.keep). Lower the learning rate, use model.precision = \"f32\", or look at these pictures",
        bad.in_a_row, bad.step
    )]
    BadSteps {
        /// The last of them.
        bad: Box<BadStep>,
    },
    /// The numbers went wrong.
    #[error(
        "loss or gradient is not a finite number at step {step}; nothing was saved after that. Lower the learning rate, \
         or use model.precision = \"f32\""
    )]
    NotFinite {
        /// The step, from 1.
        step: u64,
    },
}

impl Trainer {
    /// Loads everything that `config` names: device, pictures and base model.
    ///
    /// # Errors
    /// [`TrainError`]; problems of the config and of the pictures are each reported all at once.
    pub fn open(config: TrainConfig) -> Result<Self, TrainError> {
        Plan::check(&config)?;
        RunFolder::check(&config)?;
        Self::load(config, None)
    }

    /// The same for a run that goes on from a checkpoint in its folder, as if it had never stopped.
    ///
    /// # Errors
    /// As [`Self::open`]; a checkpoint that cannot be used or belongs to another run is told by [`Self::run`].
    pub fn resume(config: TrainConfig, resume: Resume) -> Result<Self, TrainError> {
        Plan::check(&config)?;
        RunFolder::check_free(&config)?;
        Self::load(config, Some(resume))
    }

    /// The same without a look at the run folder.
    pub(crate) fn load(
        mut config: TrainConfig,
        resume: Option<Resume>,
    ) -> Result<Self, TrainError> {
        let device = config.train.device.resolve()?;
        config.model.precision = config.model.precision.on(&device);
        let OpenedPictures { training, heldout } = OpenedPictures::open(&config)?;
        let more = config.train.more_devices.iter();
        let more: Vec<Device> = more
            .map(|device| device.resolve())
            .collect::<Result<_, _>>()?;
        let load = |device| BaseModel::load(&config.model.source(), device);
        let model = load(&device)?;
        let replicas = more.iter().map(load).collect::<Result<_, _>>()?;
        tracing::info!(
            pictures = training.entries().len(),
            "model and pictures loaded"
        );
        let notes = training.notes().to_vec();
        let mut trainer = Self::new(config, model, Box::new(training), device)?;
        trainer.plan.notes.splice(0..0, notes);
        trainer.replicas = replicas;
        trainer.heldout = heldout.map(|data| Box::new(data) as Box<dyn Dataset>);
        trainer.plan = trainer.plan.with_heldout(trainer.heldout.as_deref());
        trainer.resume = resume;
        trainer.from_config = true;
        Ok(trainer)
    }

    /// A run on a model and pictures that are already there; paths of either in `config` are not looked at, nor is
    /// `heldout.split`: see [`Self::with_heldout`].
    ///
    /// # Errors
    /// [`TrainError::Plan`] with all problems of the settings.
    pub fn new(
        mut config: TrainConfig,
        model: BaseModel,
        data: Box<dyn Dataset>,
        device: Device,
    ) -> Result<Self, TrainError> {
        let mut notes = model_notes(&config, &model);
        if model.family != Family::Sdxl && config.train.text_lr_2.take().is_some() {
            notes.push("train.text_lr_2 has no effect: this model has one text encoder".to_owned());
        }
        if let Err(error) = model.check_spec(&config.adapters()) {
            return Err(TrainError::Plan(PlanError {
                problems: vec![error.to_string()],
            }));
        }
        let plan = Plan::new(&config, data.as_ref(), model.text.tokenizer(), &notes)?;
        let settings = |section: &str, errors: Vec<SettingError>| PlanError {
            problems: errors
                .into_iter()
                .map(|error| format!("{section}: {error}"))
                .collect(),
        };
        // Modules that are dropped have no gradient in some steps, for which vectors would be made anew.
        let joins = is_told_of_operations(&device) && config.lora.dropout.module == 0.0;
        let optimizer = if joins {
            config.optimizer.build_joined()
        } else {
            config.optimizer.build()
        };
        let optimizer = optimizer.map_err(|errors| settings("optimizer", errors))?;
        let schedule = config
            .schedule
            .build(plan.steps)
            .map_err(|errors| settings("schedule", errors))?;
        misfits(&config, &model)?;
        let objective = Denoising::new(&config.objective, &model, config.model.clip_skip);
        Ok(Self {
            config,
            plan,
            device,
            data,
            heldout: None,
            model,
            replicas: Vec::new(),
            optimizer,
            schedule: Box::new(schedule),
            objective: Box::new(objective),
            handle: Handle::default(),
            resume: None,
            times_of: None,
            from_config: false,
        })
    }

    /// Goes on from a checkpoint in the run's folder.
    pub fn resuming(self, resume: Resume) -> Self {
        Self {
            resume: Some(resume),
            ..self
        }
    }

    /// Shares the batches of a step, of which `train.accumulation` must have enough, out over the run's model and `models`: the
    /// same one on other devices.
    pub fn with_replicas(self, models: Vec<BaseModel>) -> Self {
        Self {
            replicas: models,
            ..self
        }
    }

    /// Trains by another rule than the config's.
    pub fn with_optimizer(self, optimizer: impl Optimizer + 'static) -> Self {
        Self {
            optimizer: Box::new(optimizer),
            from_config: false,
            ..self
        }
    }

    /// Trains at another course of the learning rate than the config's.
    pub fn with_schedule(self, schedule: impl Schedule + 'static) -> Self {
        Self {
            schedule: Box::new(schedule),
            from_config: false,
            ..self
        }
    }

    /// Trains on another loss than the config's.
    pub fn with_objective(self, objective: impl Objective + 'static) -> Self {
        Self {
            objective: Box::new(objective),
            from_config: false,
            ..self
        }
    }

    /// Measures the held-out loss on these pictures.
    pub fn with_heldout(self, data: Box<dyn Dataset>) -> Self {
        Self {
            heldout: Some(data),
            ..self
        }
    }

    /// What the run will do.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Commands for the run, from anywhere.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Trains to the end, or until the observer or the handle stops it; either way everything is on the disk then.
    ///
    /// # Errors
    /// [`TrainError`]; files written before stay.
    pub fn run(self, observer: &mut dyn Observer) -> Result<Outcome, TrainError> {
        Run::start(self, observer)?.train()
    }

    /// Fills the cache on the disk, `cache.folder`, with all that the run would look for there, and trains nothing.
    /// The observer hears [`crate::Event::Cached`]; it or the handle may end it, which leaves what is done.
    ///
    /// # Errors
    /// [`TrainError`]; entries written before stay.
    pub fn fill_cache(self, observer: &mut dyn Observer) -> Result<CacheUse, TrainError> {
        let pictures = (self.data.as_ref(), self.heldout.as_deref());
        let told = (observer, &self.handle);
        let frozen = Frozen::compute(&self.config, pictures, &self.model, &self.device, told)?;
        Ok(frozen.cache_use())
    }
}

/// Settings that this model cannot be trained with.
fn misfits(config: &TrainConfig, model: &BaseModel) -> Result<(), PlanError> {
    let length = model.scheduler.num_train_timesteps;
    let mut problems = config.timesteps.problems(Some(length));
    if let Err(errors) = Denoising::check(&config.objective, model) {
        problems.extend(errors.iter().map(|error| format!("objective: {error}")));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(PlanError { problems })
    }
}

/// What a user may not expect of this model with these settings.
fn model_notes(config: &TrainConfig, model: &BaseModel) -> Vec<String> {
    let mut notes = model.notes.clone();
    if model.family == Family::Sdxl && config.model.clip_skip > 1 {
        notes.push("model.clip_skip has no effect on SDXL, which takes its own layers".to_owned());
    }
    notes
}
