use std::path::PathBuf;

use burn::tensor::Device;
use lora_core::{
    BaseModel, Family, ModelConfigs,
    adapter::{PlannedAdapters, plan_adapters},
    lora_file::{ModelHashes, Privacy, TrainingFacts, written_size},
};
use lora_data::Dataset;
use serde::Serialize;

use crate::{
    OpenedPictures, Plan, Prompt, TrainError,
    config::TrainConfig,
    disk_space::free_bytes,
    facts::{facts, now},
    learning_rates::part_rates,
    network_entries::network_entries,
    run_folder::best_file,
    state_size::state_sizes,
};

/// The files that a run will write, with their sizes in bytes. LoRA files are told exactly, all else about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FilePlan {
    /// Adapted layers.
    pub modules: usize,
    /// Numbers that are trained.
    pub parameters: u64,
    /// Bytes that the optimiser remembers of them.
    #[serde(skip)]
    pub(crate) optimizer_bytes: u64,
    /// The files of finished epochs, in order, and the last one; exact.
    pub lora_files: Vec<PlannedFile>,
    /// The copy of the best file, where pictures are held out to tell which that is.
    pub best: Option<PlannedFile>,
    /// Checkpoints that are there at the end.
    pub checkpoints: PlannedFiles,
    /// Previews.
    pub previews: PlannedFiles,
    /// The logs, settings, report and its pictures, and pictures drawn to choose by.
    pub others: PlannedFiles,
    /// All files at the end.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The most bytes that are there at once: a checkpoint goes only when the next one is there.
    pub peak_bytes: u64,
    /// Bytes that the disk of the run folder has left; unset where the system does not tell.
    pub free_bytes: Option<u64>,
}

/// A file that will be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedFile {
    /// Its name in the run folder.
    pub name: PathBuf,
    /// Its size.
    pub bytes: u64,
}

/// Files of about one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PlannedFiles {
    /// How many.
    pub count: u64,
    /// Bytes of all together.
    pub bytes: u64,
}

/// Bytes of a preview for each of its pixels: PNG files of paintings and photographs have 1.5 to 2.
const PREVIEW_BYTES: f64 = 1.8;
/// Bytes of a line of the log that tells of steps.
const REPORT_LINE: u64 = 260;
/// Bytes of a line of `metrics.csv`, and of what TensorBoard's file has of a report.
const TABLE_LINE: u64 = 190;
const BOARD_ENTRY: u64 = 1_100;
/// Bytes of a line of the log that tells of a file.
const FILE_LINE: u64 = 160;
/// `metrics.jsonl`, `resolved.toml`, `ledger.toml`, `report.json`, `ranking.csv`, `loss.png`, `loss-by-timestep.png`, `index.html` and
/// the side file.
const OTHERS: u64 = 9;
/// What the others take beside the lines of the log and the pictures on the page.
const OTHER_BYTES: u64 = 200_000;
/// Steps whose previews stand on the page.
const FRAMES: u64 = 12;
/// What a matrix takes in the header of a checkpoint beside its key: type, shape, place and the rest of its name.
const ENTRY: u64 = 80;
/// What a value of the optimiser takes there beside what it takes alone and its key: more digits of its place.
const LATER: u64 = 18;

impl FilePlan {
    /// Works out the files of a run, of whose base model only the configs and headers are read.
    ///
    /// # Errors
    /// A base model or pictures that cannot be read.
    pub fn open(config: &TrainConfig, plan: &Plan) -> Result<Self, TrainError> {
        let data = OpenedPictures::training(config)?;
        let configs = ModelConfigs::of(&config.model.source())?;
        let mut model = BaseModel::outline(&configs, &Device::flex());
        let mut config = config.clone();
        if model.family != Family::Sdxl {
            config.train.text_lr_2 = None;
        }
        let facts = facts(&config, &data, &model, plan, |path| {
            path.is_file().then(some_hashes)
        });
        let adapters = adapters(&mut model, &config);
        Ok(Self::new(&config, plan, &data, facts, &adapters))
    }

    fn new(
        config: &TrainConfig,
        plan: &Plan,
        data: &dyn Dataset,
        mut facts: TrainingFacts,
        adapters: &PlannedAdapters,
    ) -> Self {
        let tensors = adapters.in_file();
        facts.training_started_at = now();
        facts.training_finished_at = facts.training_started_at;
        let mut size = |epoch: u64, steps: u64| {
            (facts.epoch, facts.steps) = (epoch, steps);
            file_bytes(config, &facts, tensors.clone())
        };
        let name = &config.output.name;
        let epochs = plan.saved_epochs.iter().map(|&epoch| PlannedFile {
            name: format!("{name}-{epoch:06}.safetensors").into(),
            bytes: size(epoch, (epoch * plan.steps_per_epoch).min(plan.steps)),
        });
        let mut lora_files: Vec<PlannedFile> = epochs.collect();
        let every = config.output.save_every_steps;
        let in_between = plan.steps.checked_div(every).unwrap_or(0);
        let steps = (1..=in_between).map(|count| PlannedFile {
            name: format!("{name}-step{:08}.safetensors", count * every).into(),
            bytes: size(
                (count * every - 1) / plan.steps_per_epoch.max(1),
                count * every,
            ),
        });
        lora_files.extend(steps);
        let is_measured =
            config.heldout.folder.is_some() || !plan.heldout.is_empty() || config.choose.similarity;
        let best = lora_files.last().filter(|_| is_measured);
        let best = best.map(|last| PlannedFile {
            name: best_file(name).into(),
            bytes: last.bytes,
        });
        lora_files.push(PlannedFile {
            name: format!("{name}.safetensors").into(),
            bytes: size(plan.epochs, plan.steps),
        });
        let one_checkpoint = checkpoint_bytes(config, adapters, data.entries().len());
        let checkpoints = config.checkpoint.keep.min(checkpoints_of(config, plan));
        let previews = previews(config, plan);
        let others = others(config, plan, previews, is_measured);
        let parameters = adapters.matrices.iter().map(|matrix| numbers(matrix.dims));
        let mut files = Self {
            modules: adapters.modules.len(),
            parameters: parameters.sum(),
            optimizer_bytes: optimizer_bytes(config, adapters),
            lora_files,
            best,
            checkpoints: PlannedFiles {
                count: checkpoints,
                bytes: checkpoints * one_checkpoint,
            },
            previews,
            others,
            files: 0,
            bytes: 0,
            peak_bytes: 0,
            free_bytes: free_bytes(&config.output.folder),
        };
        let copies = files.lora_files.iter().chain(&files.best);
        let copies: Vec<u64> = copies.map(|file| file.bytes).collect();
        let about = [files.checkpoints, files.previews, files.others];
        files.files = copies.len() as u64 + about.iter().map(|part| part.count).sum::<u64>();
        files.bytes = copies.iter().sum::<u64>() + about.iter().map(|part| part.bytes).sum::<u64>();
        files.peak_bytes = files.bytes + if checkpoints > 0 { one_checkpoint } else { 0 };
        files
    }

    /// Whether the disk has room for all of it; unknown where the system does not tell.
    pub fn fits(&self) -> Option<bool> {
        Some(self.peak_bytes <= self.free_bytes?)
    }
}

/// Checkpoints that a run writes in all, pruned ones included.
pub(crate) fn checkpoints_of(config: &TrainConfig, plan: &Plan) -> u64 {
    let every = config.checkpoint.every;
    let in_between = plan.steps.checked_div(every).unwrap_or(0);
    // One before each saved epoch's file and, but for the last, one after it.
    in_between + (2 * plan.saved_epochs.len() as u64).saturating_sub(1)
}

/// How often previews are drawn, and of how many prompts.
pub(crate) fn preview_rounds(config: &TrainConfig, plan: &Plan) -> (u64, u64) {
    let (preview, prompts) = (&config.preview, config.preview.prompts.len() as u64);
    if prompts == 0 {
        return (0, 0);
    }
    let in_between = plan.steps.checked_div(preview.every).unwrap_or(0);
    let ends = (1..=plan.epochs).filter(|&epoch| preview.is_due_after(epoch));
    let ends = ends.map(|epoch| (epoch * plan.steps_per_epoch).min(plan.steps));
    // At a step of both they are drawn once.
    let others = ends.filter(|step| preview.every == 0 || !step.is_multiple_of(preview.every));
    let rounds = in_between + others.count() as u64 + u64::from(preview.at_start);
    (rounds, prompts)
}

fn adapters(model: &mut BaseModel, config: &TrainConfig) -> PlannedAdapters {
    let (spec, rates) = (config.adapters(), part_rates(&config.train));
    let mut planned = PlannedAdapters::default();
    for network in model.networks() {
        if rates.at(network.naming().prefix) > 0.0 {
            plan_adapters(network, &spec, &mut planned);
        }
    }
    planned
}

fn file_bytes(
    config: &TrainConfig,
    facts: &TrainingFacts,
    tensors: Vec<(String, Vec<usize>)>,
) -> u64 {
    let privacy = if config.output.private {
        Privacy::Private
    } else {
        Privacy::Open
    };
    let mut metadata = facts.metadata(privacy);
    metadata.extend(network_entries(&config.lora, &config.train));
    written_size(tensors, config.output.dtype, metadata)
}

/// As long as those of any file, for which it would have to be read whole.
fn some_hashes() -> ModelHashes {
    ModelHashes {
        legacy: "0".repeat(8),
        sha256: "0".repeat(64),
    }
}

fn numbers([rows, columns]: [usize; 2]) -> u64 {
    (rows * columns) as u64
}

/// What the optimiser remembers of the matrices that move, without their names.
fn optimizer_bytes(config: &TrainConfig, adapters: &PlannedAdapters) -> u64 {
    let dims = adapters.matrices.iter().map(|matrix| matrix.dims);
    let sizes = state_sizes(&config.optimizer, dims);
    let moving = adapters.matrices.iter();
    let moving = moving
        .filter(|matrix| !(config.lora.freeze_down && matrix.key.ends_with(".lora_down.weight")));
    let bytes = moving.map(|matrix| {
        let state = sizes.get(&matrix.dims).copied().unwrap_or_default();
        state.bytes.saturating_sub(state.values * ENTRY)
    });
    bytes.sum()
}

/// About the bytes of a checkpoint: matrices, what the optimiser remembers of them, their average, and names.
fn checkpoint_bytes(config: &TrainConfig, adapters: &PlannedAdapters, pictures: usize) -> u64 {
    /// Matrices are trained and kept in f32.
    const NUMBER: u64 = 4;
    let sizes = state_sizes(
        &config.optimizer,
        adapters.matrices.iter().map(|matrix| matrix.dims),
    );
    let has_average = config.ema.decay.is_some();
    let matrices = adapters.matrices.iter().map(|matrix| {
        let entry = matrix.key.len() as u64 + ENTRY;
        let own = numbers(matrix.dims) * NUMBER;
        let rests = config.lora.freeze_down && matrix.key.ends_with(".lora_down.weight");
        if rests {
            return own + entry;
        }
        let state = sizes.get(&matrix.dims).copied().unwrap_or_default();
        let average = if has_average { own + entry } else { 0 };
        let values = state.values * (matrix.key.len() as u64 + LATER);
        own + entry + state.bytes + values + average
    });
    // The record is about as long as the config.
    let folders = config.dataset.folders.len() + pictures.min(1);
    matrices.sum::<u64>() + config.to_toml().len() as u64 + 200 * folders as u64
}

fn previews(config: &TrainConfig, plan: &Plan) -> PlannedFiles {
    let (rounds, prompts) = preview_rounds(config, plan);
    let resolution = config.dataset.resolution;
    let usual = [resolution.width, resolution.height];
    let lines = config.preview.prompts.iter();
    let sizes = lines.map(|line| Prompt::parse(line, &config.preview).map(|prompt| prompt.size));
    let pixels = sizes.map(|size| {
        let size = size.unwrap_or_default();
        let [width, height] = [0, 1].map(|axis| size[axis].unwrap_or(usual[axis]));
        f64::from(width) * f64::from(height)
    });
    let bytes = pixels.sum::<f64>() * PREVIEW_BYTES;
    PlannedFiles {
        count: rounds * prompts,
        bytes: rounds * bytes as u64,
    }
}

/// Pictures that are drawn with each saved file, to compare it with the training pictures.
fn choosing(config: &TrainConfig, plan: &Plan) -> PlannedFiles {
    let rounds = if config.choose.similarity {
        plan.saved_epochs.len() as u64
    } else {
        0
    };
    let count = rounds * config.choose.pictures.get() as u64;
    let resolution = config.dataset.resolution;
    let pixels = f64::from(resolution.width) * f64::from(resolution.height);
    PlannedFiles {
        count,
        bytes: count * (pixels * PREVIEW_BYTES) as u64,
    }
}

fn others(
    config: &TrainConfig,
    plan: &Plan,
    previews: PlannedFiles,
    is_measured: bool,
) -> PlannedFiles {
    let reports = plan.steps / config.train.log_every.get() as u64;
    let files = previews.count + plan.saved_epochs.len() as u64 + 1;
    let (rounds, _) = preview_rounds(config, plan);
    // A picture in the page's text takes a third more than its file.
    let on_page = previews.bytes / rounds.max(1) * rounds.min(FRAMES) * 4 / 3;
    let log = &config.log;
    let of = |is_there: bool, bytes: u64| if is_there { bytes } else { 0 };
    let table = of(log.csv, reports * TABLE_LINE);
    let board = reports * BOARD_ENTRY + of(log.tensorboard_previews, previews.bytes);
    let choosing = choosing(config, plan);
    let has_previews = previews.count > 0;
    let own = [log.csv, log.tensorboard, has_previews, is_measured];
    PlannedFiles {
        count: OTHERS + own.map(u64::from).iter().sum::<u64>() + choosing.count,
        bytes: OTHER_BYTES
            + reports * REPORT_LINE
            + files * FILE_LINE
            // The film strip is as large as its pictures.
            + on_page
            + on_page * 3 / 4
            + table
            + of(log.tensorboard, board)
            + choosing.bytes,
    }
}
