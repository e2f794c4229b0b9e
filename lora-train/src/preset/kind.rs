use std::{num::NonZeroUsize, path::PathBuf};

use lora_core::{ActivationCheckpointing, Family};
use lora_data::{BucketConfig, Resolution};
use lora_optim::{Adamw8bitConfig, OptimizerConfig, ScheduleKind, Warmup};

use super::Subject;
use crate::config::TrainConfig;

/// Settings for a kind of subject, a family of base models and an amount of memory: differences from
/// [`TrainConfig::default`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preset {
    /// What the pictures show.
    pub subject: Subject,
    /// What the base model is.
    pub family: Family,
    /// Whether memory is dearer than time.
    pub low_memory: bool,
}

impl Preset {
    /// The presets that are listed. SD 2.x has those of SD 1.x with few changes, and is not.
    pub fn all() -> impl Iterator<Item = Self> {
        let variants = [Family::Sd1, Family::Sdxl]
            .into_iter()
            .flat_map(|family| [false, true].map(|low_memory| (family, low_memory)));
        variants.flat_map(|(family, low_memory)| {
            Subject::ALL.map(|subject| Self {
                subject,
                family,
                low_memory,
            })
        })
    }

    /// The one of that name, if there is any.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().find(|preset| preset.name() == name)
    }

    /// Its name, such as `portrait`, `anime-sdxl` or `landscape-sdxl-low-memory`.
    pub fn name(self) -> String {
        let family = match self.family {
            Family::Sd1 => "",
            Family::Sd2 => "-sd2",
            Family::Sdxl => "-sdxl",
        };
        let memory = if self.low_memory { "-low-memory" } else { "" };
        format!("{}{family}{memory}", self.subject)
    }

    /// How often an epoch shows each picture.
    pub fn repeats(self) -> u32 {
        self.subject.repeats()
    }

    /// The settings, which name no model and no pictures yet.
    pub fn config(self) -> TrainConfig {
        let mut config = TrainConfig::default();
        common(&mut config);
        self.subject.set(&mut config);
        match self.family {
            Family::Sd1 => {}
            Family::Sd2 => sd2(&mut config),
            Family::Sdxl => sdxl(&mut config),
        }
        if self.low_memory {
            low_memory(&mut config);
            if self.family == Family::Sdxl {
                sdxl_low_memory(&mut config);
            }
        }
        config
    }
}

/// What all presets share. Ten epochs, a file after each, previews every 50 steps and the learning rates are the defaults.
fn common(config: &mut TrainConfig) {
    config.dataset.buckets = Some(BucketConfig::default());
    config.train.batch_size = const { NonZeroUsize::new(2).expect("not zero") };
    config.optimizer = OptimizerConfig::Adamw8bit(Adamw8bitConfig::default());
    config.schedule.kind = ScheduleKind::Cosine;
    config.schedule.warmup = Warmup::Fraction(0.05);
    config.objective.min_snr_gamma = Some(5.0);
}

/// SD 2.x's text encoder leaves out its last layer by itself.
fn sd2(config: &mut TrainConfig) {
    config.model.clip_skip = TrainConfig::default().model.clip_skip;
}

/// SDXL base, which was trained at 1024 pixels.
fn sdxl(config: &mut TrainConfig) {
    config.dataset.resolution = Resolution::square(1024);
    config.dataset.buckets = Some(BucketConfig {
        min: 512,
        max: 2048,
        ..BucketConfig::default()
    });
    config.model.offload = true;
    // Two pictures of 1024 pixels keep more for the backward pass than the UNet itself takes.
    config.train.gradient_checkpointing = ActivationCheckpointing::Block;
    // It takes layers of its own whatever this is.
    config.model.clip_skip = TrainConfig::default().model.clip_skip;
    // "Highly recommended": training two text encoders goes where one does not expect it (sd-scripts, docs/train_SDXL-en.md).
    config.train.text_lr = 0.0;
    // Its UNet has more than six times as many numbers at a rank as that of SD 1.x, so that half the rank is plenty. sd-scripts
    // has 32 at a rate of 1e-4 in docs/sdxl_train_network.md.
    config.lora.rank /= 2;
    config.lora.alpha /= 2.0;
}

/// The same number of pictures for each step, one at a time, and nothing kept on the device that is not needed.
fn low_memory(config: &mut TrainConfig) {
    config.train.accumulation = config.train.batch_size;
    config.train.batch_size = NonZeroUsize::MIN;
    config.model.offload = true;
    config.model.eight_bit = true;
    config.train.gradient_checkpointing = ActivationCheckpointing::Block;
    config.cache.folder = Some(PathBuf::from("cache"));
}

fn sdxl_low_memory(config: &mut TrainConfig) {
    // A little more than half of the activations of 1024 pixels, which are most of the memory.
    config.dataset.resolution = Resolution::square(768);
    config.dataset.buckets = Some(BucketConfig {
        min: 384,
        max: 1536,
        ..BucketConfig::default()
    });
    // "Use lower dim, 4 to 8" (sd-scripts, docs/train_SDXL-en.md).
    config.lora.rank = 8;
    config.lora.alpha = 4.0;
    // Captions that stay as they are are asked for once, so that the text encoders can leave.
    config.dataset.caption.shuffle = false;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_have_names_of_their_own() {
        let names: Vec<String> = Preset::all().map(Preset::name).collect();
        assert_eq!(names.len(), 12);
        assert_eq!(
            (names[0].as_str(), names[11].as_str()),
            ("portrait", "anime-sdxl-low-memory")
        );
        let mut distinct = names.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len(), names.len());
    }

    /// The numbers that people are told elsewhere, in one table: subject, repeats, rank, alpha, clip skip, kept tags.
    #[test]
    fn the_presets_of_sd1_are_the_advice_that_is_given() {
        for (subject, repeats, rank, alpha, clip_skip, keep, kind) in [
            (Subject::Portrait, 100, 64, 32.0, 1, 0, ScheduleKind::Cosine),
            (
                Subject::Landscape,
                25,
                128,
                64.0,
                1,
                0,
                ScheduleKind::Cosine,
            ),
            (
                Subject::Anime,
                30,
                32,
                16.0,
                2,
                1,
                ScheduleKind::CosineWithRestarts,
            ),
        ] {
            let preset = Preset {
                subject,
                ..Preset::default()
            };
            let config = preset.config();
            assert_eq!(preset.repeats(), repeats);
            assert_eq!((config.lora.rank, config.lora.alpha), (rank, alpha));
            assert_eq!(config.model.clip_skip, clip_skip);
            assert_eq!(config.dataset.caption.keep_tokens, keep);
            assert_eq!(config.dataset.caption.shuffle, keep > 0);
            assert_eq!(config.schedule.kind, kind);
            assert_eq!(config.schedule.warmup, Warmup::Fraction(0.05));
            assert_eq!(config.optimizer.name(), "AdamW8bit");
            let train = &config.train;
            assert_eq!(
                (train.unet_lr, train.text_lr, train.epochs),
                (1e-4, 1e-5, 10)
            );
            assert_eq!(train.batch_size.get(), 2);
            assert_eq!(config.objective.min_snr_gamma, Some(5.0));
            assert_eq!(
                (config.output.save_every_epochs, config.preview.every),
                (1, 50)
            );
        }
    }

    #[test]
    fn low_memory_takes_the_same_steps_with_as_many_pictures() {
        for preset in Preset::all().filter(|preset| preset.low_memory) {
            let usual = Preset {
                low_memory: false,
                ..preset
            };
            let pictures = |preset: Preset| {
                let train = preset.config().train;
                train.batch_size.get() * train.accumulation.get()
            };
            assert_eq!(pictures(preset), pictures(usual), "{}", preset.name());
            assert_eq!(preset.config().train.batch_size.get(), 1);
        }
    }
}
