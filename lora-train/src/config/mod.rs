//! A training run as a TOML file describes it. Every number has its default here and nowhere else.

mod cache;
mod changed;
mod checkpoint;
mod choose;
mod differences;
mod ema;
mod heldout;
mod lint;
mod log;
mod loss_type;
mod model;
mod objective;
mod output;
mod preview;
mod read;
mod timesteps;
mod train;
mod weight_table;

use lora_core::adapter::Target;
use serde::{Deserialize, Serialize};

pub use cache::CacheConfig;
pub use changed::changed_settings;
pub use checkpoint::CheckpointConfig;
pub use choose::ChooseConfig;
pub use ema::EmaConfig;
pub use heldout::HeldoutConfig;
pub use lint::LintConfig;
pub use log::LogConfig;
pub use lora_core::adapter::LoraSpec;
pub use lora_data::DatasetConfig;
pub use lora_optim::{OptimizerConfig, Schedule, ScheduleConfig, ScheduleKind, Warmup};
pub use loss_type::{HuberSchedule, LossType};
pub use model::ModelConfig;
pub use objective::ObjectiveConfig;
pub use output::OutputConfig;
pub use preview::PreviewConfig;
pub use read::ConfigError;
pub use timesteps::{TimestepConfig, TimestepDistribution};
pub use train::{LatentDraw, LoopConfig};
pub use weight_table::{WeightAxis, WeightTable};

/// A whole training run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// The base model.
    pub model: ModelConfig,
    /// The pictures and their captions.
    pub dataset: DatasetConfig,
    /// What is trained.
    pub lora: LoraSpec,
    /// How long, how fast, on which device.
    pub train: LoopConfig,
    /// The rule that moves the weights.
    pub optimizer: OptimizerConfig,
    /// The course of the learning rate.
    pub schedule: ScheduleConfig,
    /// The average that is drawn with and saved.
    pub ema: EmaConfig,
    /// What the loss is.
    pub objective: ObjectiveConfig,
    /// Which timesteps are trained.
    pub timesteps: TimestepConfig,
    /// Files written.
    pub output: OutputConfig,
    /// What a run puts down to be able to go on.
    pub checkpoint: CheckpointConfig,
    /// Logs beside `metrics.jsonl`.
    pub log: LogConfig,
    /// Pictures drawn on the way.
    pub preview: PreviewConfig,
    /// Pictures that are kept out of training to measure by.
    pub heldout: HeldoutConfig,
    /// How the saved files are compared.
    pub choose: ChooseConfig,
    /// What the checks of the dataset go by.
    pub lint: LintConfig,
    /// What is kept on the disk from run to run.
    pub cache: CacheConfig,
}

impl TrainConfig {
    /// The adapters that are made: those of [`Self::lora`] whose learning rate is not 0. As in kohya's trainer, a side
    /// that does not learn has no place in the file. Of two text encoders, one may be left out later: see
    /// [`LoopConfig::text_lr_2`].
    pub fn adapters(&self) -> LoraSpec {
        let learns = |target: &Target| match target {
            Target::TextEncoder | Target::TextProjection => {
                self.train.text_lr > 0.0 || self.train.second_text_lr() > 0.0
            }
            Target::Attention | Target::Convolution | Target::OutsideTheBlocks => {
                self.train.unet_lr > 0.0
            }
        };
        let mut spec = self.lora.clone();
        spec.targets.retain(learns);
        if !spec.targets.contains(&Target::Convolution) {
            (spec.conv_rank, spec.conv_alpha) = (None, None);
            for rule in &mut spec.blocks {
                (rule.conv_rank, rule.conv_alpha) = (None, None);
            }
        }
        spec
    }

    /// Whether the text encoders are trained.
    pub fn trains_text(&self) -> bool {
        self.adapters().targets.contains(&Target::TextEncoder)
    }
}
