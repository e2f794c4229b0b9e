//! The training run: model, pictures and optimiser brought together.
//!
//! [`TrainConfig`](config::TrainConfig) in, [`Event`]s and files out; [`Handle`] stops it from anywhere.
//! `examples/minimal.rs` is a whole training in a few lines.

mod backward;
mod batch;
pub mod bench;
mod bucket_plan;
mod checkpoint;
mod choosing;
pub mod config;
mod data_facts;
mod device;
mod disk_cache;
mod disk_space;
mod draw;
mod ema;
mod encoded_once;
mod environment;
mod epoch_listing;
mod event;
mod facts;
mod feed;
mod file_plan;
mod folder_plan;
mod framing_plan;
mod frozen;
pub mod grid;
mod guidance;
mod handle;
mod heldout;
mod hexadecimal;
pub mod import;
mod infotext;
mod inspection;
mod keep;
mod latents;
mod learner;
mod learning_rates;
pub mod lint;
mod log;
mod lora_folder;
mod memory_plan;
mod meter;
mod network_entries;
mod noise_draws;
mod normal_quantile;
mod objective;
mod opened_pictures;
pub mod picture;
mod plan;
pub mod preset;
mod prompt;
mod prompt_file;
mod prompt_loras;
mod prompt_option;
mod provenance;
mod pyramid_noise;
pub mod queue;
mod random;
mod ranking;
#[cfg(test)]
mod recorded;
mod replica;
mod reproduce;
mod resident;
mod run;
mod run_folder;
mod run_origin;
mod run_record;
mod run_report;
mod short_hash;
mod showing_rules;
mod state_size;
mod text_cache;
mod time_plan;
mod timestep_draw;
mod timestep_loss;
mod trainer;

pub use batch::{Batch, BatchText};
pub use bucket_plan::{BucketPlan, bucket_plans};
pub use burn::tensor::Device;
pub use checkpoint::{Difference, Resume, ResumeError};
pub use choosing::Comparison;
pub use device::{DeviceChoice, DeviceError, DeviceListing, backends_left_out, list_devices};
pub use disk_cache::{
    CacheCheck, CacheError, CacheFault, DiskCache, KindCount, LatentStore, PruneConfig, Pruned,
    TextStore, UseCount,
};
pub use draw::{DrawSettings, batches, draw, starting_noise};
pub use ema::Ema;
pub use encoded_once::EncodedOnce;
pub use environment::{Environment, EnvironmentDifference};
pub use epoch_listing::{EpochListing, ListedBatch, ListedShowing};
pub use event::{BadStep, EVENT_FORMAT, Event, Flow, Observer, StepReport};
pub use feed::{Feed, FeedAt};
pub use file_plan::{FilePlan, PlannedFile, PlannedFiles};
pub use folder_plan::{FolderPlan, folder_plans};
pub use framing_plan::FramingPlan;
pub use frozen::CacheUse;
pub use handle::Handle;
pub use heldout::{HeldoutError, HeldoutLoss};
pub use infotext::infotext;
pub use inspection::{
    InspectError, InspectedBase, InspectedComponent, InspectedHash, InspectedLora, InspectedNorms,
    InspectedPart, Inspection, TagCount,
};
pub use latents::LatentCache;
pub use learner::Learner;
pub use lora_folder::{LoraFolder, LoraNameError};
pub use memory_plan::MemoryPlan;
pub use noise_draws::NoiseDraws;
pub use objective::{Denoising, Objective, ObjectiveError};
pub use opened_pictures::OpenedPictures;
pub use plan::{PicturePlan, Plan, PlanError};
pub use prompt::{Prompt, PromptError};
pub use prompt_file::PromptFileError;
pub use prompt_loras::{PromptLoras, PromptLorasError};
pub use provenance::{Provenance, SourceFile, UsedLora};
pub use ranking::RankedFile;
use replica::Replica;
pub use reproduce::{ComparedFile, ReproduceError, ReproducedRun, Reproduction};
pub use run_folder::{RunFolder, RunFolderError};
pub use run_origin::RunOrigin;
pub use run_record::{RunRecord, SavedFile};
pub use run_report::{ReportError, RunReport, RunSummary};
pub use text_cache::TextCache;
pub use time_plan::TimePlan;
pub use timestep_loss::TIMESTEP_BINS;
pub use trainer::{Outcome, TrainError, Trainer};
