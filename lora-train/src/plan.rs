use std::{fmt, path::PathBuf};

use lora_core::{ActivationCheckpointing, tokenizer::Tokenizer};
use lora_data::{Dataset, exposures_per_epoch, steps_per_epoch};
use serde::Serialize;
use thiserror::Error;

use crate::{
    BucketPlan, EncodedOnce, FolderPlan, FramingPlan, OpenedPictures, Prompt, TrainError,
    bucket_plans,
    config::{TrainConfig, changed_settings},
    ema::averaged_twice,
    folder_plans,
    learning_rates::{rate_notes, rate_problems},
    lint::{Finding, LongestText, RULES, lint, tokenizer},
};

/// What a run will do, worked out before anything is loaded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Pictures found.
    pub images: usize,
    /// Showings of one epoch: pictures times their repeats.
    pub exposures_per_epoch: u64,
    /// Batches of one epoch: showings over batch size, rounded up.
    pub batches_per_epoch: u64,
    /// Steps of one epoch: batches over accumulation, rounded up.
    pub steps_per_epoch: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Epochs begun; the last may be cut short by `max_steps`.
    pub epochs: u64,
    /// Numbers of the epochs that end with a saved file.
    pub saved_epochs: Vec<u64>,
    /// How often each picture is shown in the whole run, leaving a cut epoch aside.
    pub pictures: Vec<PicturePlan>,
    /// The sizes that pictures are trained at, with how many of each.
    pub buckets: Vec<BucketPlan>,
    /// The folders, with what each takes of an epoch.
    pub folders: Vec<FolderPlan>,
    /// What is encoded before the first step, so that with `model.offload` the networks for it leave the device.
    pub encoded_once: EncodedOnce,
    /// Settings of the loss that are not at their defaults.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub objective: Vec<String>,
    /// Settings of the timesteps that are not at their defaults.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timesteps: Vec<String>,
    /// The pictures that are measured by and not trained on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub heldout: Vec<PathBuf>,
    /// What is odd about the dataset, worst first.
    pub findings: Vec<Finding>,
    /// What was inferred or looks odd, in words.
    pub notes: Vec<String>,
}

/// One picture of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PicturePlan {
    /// The file.
    pub image: PathBuf,
    /// The words trained with it, before anything is drawn about them.
    pub caption: String,
    /// Width and height before resizing.
    pub size: (u32, u32),
    /// Width and height that it is trained at: its bucket.
    pub target: (u32, u32),
    /// How it is scaled and cut.
    #[serde(flatten)]
    pub framing: FramingPlan,
    /// Showings of one epoch.
    pub repeats: u32,
    /// Showings of all whole epochs.
    pub exposures: u64,
    /// Tokens of the longest text that its caption can become.
    pub tokens: usize,
    /// Tokens that are cut off.
    pub cut_tokens: usize,
    /// The words of that text that are cut off; empty where none is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cut_words: String,
}

/// Everything that keeps a config from being run.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub struct PlanError {
    /// One sentence each.
    pub problems: Vec<String>,
}

impl fmt::Display for PlanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the run cannot start:")?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl Plan {
    /// Works out the plan of a config file, looking at the pictures but not loading the base model.
    ///
    /// # Errors
    /// Problems of the settings, or of the pictures, each all at once.
    pub fn open(config: &TrainConfig) -> Result<Self, TrainError> {
        Self::check(config)?;
        let OpenedPictures { training, heldout } = OpenedPictures::open(config)?;
        let tokenizer = tokenizer(config)?;
        let plan = Self::new(config, &training, &tokenizer, training.notes())?;
        Ok(plan.with_heldout(heldout.as_ref().map(|data| data as &dyn Dataset)))
    }

    /// With the names of the pictures that are measured by.
    pub(crate) fn with_heldout(mut self, data: Option<&dyn Dataset>) -> Self {
        let entries = data.iter().flat_map(|data| data.entries());
        self.heldout = entries.map(|entry| entry.image.clone()).collect();
        self
    }

    /// Looks at the settings and at whether the paths they name are there: what can be said without loading anything.
    ///
    /// # Errors
    /// [`PlanError`] with all problems at once.
    pub fn check(config: &TrainConfig) -> Result<(), PlanError> {
        let mut problems = problems(config);
        problems.extend(missing_paths(config));
        problems.extend(config.heldout.unmeasured());
        if problems.is_empty() {
            Ok(())
        } else {
            Err(PlanError { problems })
        }
    }

    /// Works out the plan for `data`; `notes` are the dataset's own.
    ///
    /// # Errors
    /// [`PlanError`] with all problems of the config at once.
    pub fn new(
        config: &TrainConfig,
        data: &dyn Dataset,
        tokenizer: &Tokenizer,
        notes: &[String],
    ) -> Result<Self, PlanError> {
        let problems = problems(config);
        if !problems.is_empty() {
            return Err(PlanError { problems });
        }
        let entries = data.entries();
        let is_odd = |side: u32| side < 8 || !side.is_multiple_of(8);
        let odd = entries
            .iter()
            .find(|entry| is_odd(entry.target.width) || is_odd(entry.target.height));
        if let Some(entry) = odd {
            let image = entry.image.display();
            let problem = format!(
                "{image} would be trained at {}: sizes must be multiples of 8",
                entry.target
            );
            return Err(PlanError {
                problems: vec![problem],
            });
        }
        let batches_per_epoch = steps_per_epoch(data, config.train.batch_size);
        let steps_per_epoch = batches_per_epoch.div_ceil(config.train.accumulation.get() as u64);
        let whole = steps_per_epoch.saturating_mul(config.train.epochs);
        let steps = config.train.max_steps.map_or(whole, |most| most.min(whole));
        let epochs = steps.div_ceil(steps_per_epoch.max(1));
        let every = config.output.save_every_epochs;
        let encoded_once = EncodedOnce::of(config, data);
        let pictures: Vec<PicturePlan> = (0..entries.len())
            .map(|index| picture(config, data, index, tokenizer, epochs))
            .collect();
        Ok(Self {
            images: entries.len(),
            exposures_per_epoch: exposures_per_epoch(entries),
            batches_per_epoch,
            steps_per_epoch,
            steps,
            epochs,
            saved_epochs: (1..=epochs)
                .filter(|epoch| epoch % every == 0 || *epoch == epochs)
                .collect(),
            pictures,
            buckets: bucket_plans(data, config.train.batch_size),
            folders: folder_plans(data),
            encoded_once,
            objective: changed_settings(&config.objective),
            timesteps: changed_settings(&config.timesteps),
            heldout: Vec::new(),
            findings: lint(config, data, tokenizer),
            notes: [
                notes,
                &rate_notes(config),
                &choosing_notes(config),
                &encoded_once.offload_notes(config),
            ]
            .concat(),
        })
    }
}

fn picture(
    config: &TrainConfig,
    data: &dyn Dataset,
    index: usize,
    tokenizer: &Tokenizer,
    epochs: u64,
) -> PicturePlan {
    let entry = &data.entries()[index];
    let rules = data.subsets().get(entry.subset);
    let rules = rules.map_or(&config.dataset.caption, |subset| &subset.caption);
    let longest = LongestText::of(rules, &entry.caption, tokenizer);
    let (tokens, most) = (longest.tokens, config.model.max_tokens);
    PicturePlan {
        image: entry.image.clone(),
        caption: entry.caption.clone(),
        size: entry.size,
        target: (entry.target.width, entry.target.height),
        framing: FramingPlan::of(data, index),
        repeats: entry.repeats,
        exposures: u64::from(entry.repeats) * epochs,
        tokens,
        cut_tokens: tokens.saturating_sub(most),
        cut_words: longest.cut_words(most, tokenizer).to_owned(),
    }
}

/// What choosing costs, where it costs something that may not be expected.
fn choosing_notes(config: &TrainConfig) -> Vec<String> {
    let drawn = config.choose.similarity.then(|| {
        format!(
            "choose.similarity draws {} pictures of {} sampler steps with each saved file",
            config.choose.pictures, config.preview.steps
        )
    });
    drawn.into_iter().collect()
}

/// Paths that the settings name and that are not there.
fn missing_paths(config: &TrainConfig) -> Vec<String> {
    if config.model.path.as_os_str().is_empty() {
        return vec![
            "model.path is not set; name a diffusers folder or a .safetensors checkpoint"
                .to_owned(),
        ];
    }
    [
        ("model.path", Some(&config.model.path)),
        ("model.config", config.model.config.as_ref()),
        ("model.vae", config.model.vae.as_ref()),
        ("lora.from", config.lora.from.as_ref()),
        ("heldout.folder", config.heldout.folder.as_ref()),
        ("heldout.noise", config.heldout.noise.as_ref()),
        ("dataset.kohya", config.dataset.kohya.as_ref()),
        (
            "choose.embedding.model",
            config.choose.embedding.as_ref().map(|config| &config.model),
        ),
    ]
    .into_iter()
    .filter_map(|(key, path)| Some((key, path.filter(|path| !path.exists())?)))
    .map(|(key, path)| format!("{key}: {}: no such file or folder", path.display()))
    .collect()
}

/// All that is wrong with the settings themselves.
pub(crate) fn problems(config: &TrainConfig) -> Vec<String> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, problem: &str| {
        if !holds {
            problems.push(problem.to_owned());
        }
    };
    let train = &config.train;
    require(train.epochs > 0, "train.epochs is 0; use at least 1");
    require(
        train.max_steps != Some(0),
        "train.max_steps is 0; use at least 1, or leave it out",
    );
    require(
        train.max_grad_norm.is_finite() && train.max_grad_norm >= 0.0,
        "train.max_grad_norm must be a number from 0 (no clipping) up",
    );
    require(
        train.more_devices.len() < train.accumulation.get() || train.more_devices.is_empty(),
        "train.more_devices share the batches of a step, train.accumulation: raise it to the number of all devices, or name \
         fewer",
    );
    require(
        config.output.save_every_epochs > 0,
        "output.save_every_epochs is 0; use at least 1",
    );
    let name = &config.output.name;
    require(
        !name.is_empty() && !name.contains(['/', '\\']) && !name.starts_with('.'),
        "output.name must be a plain file name without folder or extension",
    );
    require(
        [75, 150, 225].contains(&config.model.max_tokens),
        "model.max_tokens must be 75, 150 or 225",
    );
    require(
        !config.model.eight_bit || train.gradient_checkpointing != ActivationCheckpointing::None,
        "model.eight_bit needs train.gradient_checkpointing = \"block\" or \"aggressive\": without it every weight is kept whole \
         for the backward pass, and nothing is saved",
    );
    require(
        config.model.clip_skip > 0,
        "model.clip_skip counts from 1, the last layer",
    );
    require(
        config.preview.steps > 0 && config.preview.guidance.is_finite(),
        "preview.steps must be at least 1 and preview.guidance a number, usually 20 and 7",
    );
    let folders = config.dataset.folders.iter();
    let resolutions = folders.filter_map(|folder| folder.resolution);
    require(
        resolutions
            .chain([config.dataset.resolution])
            .flat_map(|resolution| [resolution.width, resolution.height])
            .all(|side| side >= 16 && side % 8 == 0),
        "dataset.resolution must be a multiple of 8 and at least 16; 512 is usual",
    );
    require(
        toml::to_string(&config.absolute()).is_ok(),
        "a path of the run, or the working directory, has a name that is no Unicode; rename it",
    );
    let lint = &config.lint;
    require(
        lint.allow
            .iter()
            .chain(&lint.deny)
            .all(|name| RULES.iter().any(|(rule, _)| rule == name)),
        "lint.allow or lint.deny names a rule that is not there; `lora lint --rules` lists them",
    );
    require(
        lint.max_crop >= 0.0 && lint.max_enlargement > 0.0,
        "lint.max_crop must be a part from 0 to 1, lint.max_enlargement a factor above 0",
    );
    problems.extend(rate_problems(train));
    problems.extend(config.ema.problems());
    problems.extend(config.heldout.problems());
    problems.extend(config.choose.problems());
    problems.extend(part_problems(config));
    problems
}

/// What is wrong with adapters, optimiser, schedule, objective and prompts, each in its own words.
fn part_problems(config: &TrainConfig) -> Vec<String> {
    let mut problems = Vec::new();
    match config.lora.check() {
        Err(error) => problems.push(error.to_string()),
        Ok(()) if config.adapters().targets.is_empty() => problems.push(
            "the learning rates of all lora.targets are 0 (train.unet_lr, text_lr): nothing would learn"
                .to_owned(),
        ),
        Ok(()) => {}
    }
    let settings = |section: &str, errors: Vec<lora_optim::SettingError>| {
        errors
            .into_iter()
            .map(|error| format!("{section}: {error}"))
            .collect::<Vec<_>>()
    };
    match config.optimizer.build() {
        Ok(optimizer) => problems.extend(averaged_twice(&config.ema, optimizer.as_ref())),
        Err(errors) => problems.extend(settings("optimizer", errors)),
    }
    problems.extend(
        config
            .schedule
            .build(1)
            .err()
            .into_iter()
            .flat_map(|errors| settings("schedule", errors)),
    );
    problems.extend(config.timesteps.problems(None));
    let objective = config.objective.problems();
    problems.extend(objective.iter().map(|error| format!("objective: {error}")));
    for line in &config.preview.prompts {
        match Prompt::parse(line, &config.preview).and_then(|prompt| prompt.positive()) {
            Err(error) => problems.push(format!("preview.{error}")),
            Ok(prompt) => problems.extend(prompt.loras.first().map(|tag| {
                format!(
                    "preview.prompt `{line}`: <lora:{}> is not possible here; previews are drawn with the LoRA in training",
                    tag.name
                )
            })),
        }
    }
    problems
}
