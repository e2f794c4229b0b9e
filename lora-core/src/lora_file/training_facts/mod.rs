//! What a LoRA file says about its own training.

mod augmentation;
mod buckets;
mod loss;
mod noise;
mod validation;

use std::collections::BTreeMap;

use serde::Serialize;

pub use augmentation::AugmentationFacts;
pub use buckets::BucketFacts;
pub use loss::LossFacts;
pub use noise::NoiseFacts;
pub use validation::ValidationFacts;

use super::ModelHashes;
use crate::Family;

/// `ss_*` entries without their prefix.
pub(super) type Entries = Vec<(&'static str, String)>;

/// One folder of training images, for `ss_dataset_dirs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DatasetFolder {
    /// How often an epoch shows each image.
    pub n_repeats: u32,
    /// Images in the folder.
    pub img_count: usize,
}

/// The facts of a training run, for the `ss_*` and `modelspec.*` metadata of the files that it writes.
///
/// The default is sd-scripts' default where it has one.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, not states of one thing"
)]
pub struct TrainingFacts {
    /// Name of the file without number and extension; also the title.
    pub output_name: String,
    /// Free text of the user's own.
    pub training_comment: Option<String>,
    /// The family of the base model.
    pub family: Family,
    /// File name or path of the base model; only the name is written.
    pub sd_model: Option<String>,
    /// Hashes of the base model's file, when it is one file.
    pub sd_model_hashes: Option<ModelHashes>,
    /// File name or path of the VAE that stood in for the base model's, if one did; only the name is written.
    pub vae: Option<String>,
    /// Hashes of that VAE's file, when it is one file.
    pub vae_hashes: Option<ModelHashes>,

    /// Rank of the adapters.
    pub network_dim: usize,
    /// Numerator of the adapters' scale.
    pub network_alpha: f64,
    /// Probability with which a value inside an adapter is dropped.
    pub network_dropout: Option<f64>,

    /// The general learning rate.
    pub learning_rate: f64,
    /// The UNet's learning rate, when it is trained.
    pub unet_lr: Option<f64>,
    /// The text encoder's learning rate, when it is trained.
    pub text_encoder_lr: Option<f64>,
    /// The second text encoder's learning rate, when it is there and trained.
    pub text_encoder_lr_2: Option<f64>,
    /// Name of the learning rate schedule.
    pub lr_scheduler: String,
    /// Steps over which the learning rate rises.
    pub lr_warmup_steps: u64,
    /// Name of the optimiser, with its arguments in brackets if any.
    pub optimizer: String,
    /// Limit of the gradient's norm; 0 for none.
    pub max_grad_norm: f64,
    /// Seed of all that is random.
    pub seed: u64,
    /// `no`, `fp16` or `bf16`.
    pub mixed_precision: String,
    /// Whether the trained factors and their gradients were kept in half precision, too.
    pub full_fp16: bool,
    /// Whether the frozen weights were kept in 8 bits: those of all networks, and the UNet's.
    pub fp8_base: [bool; 2],
    /// Whether the model was loaded straight onto the device to spare host memory.
    pub low_ram: bool,
    /// Whether activations were recomputed to save memory.
    pub gradient_checkpointing: bool,

    /// Planned epochs.
    pub num_epochs: u64,
    /// Finished epochs at the time of writing.
    pub epoch: u64,
    /// Planned optimiser steps.
    pub max_train_steps: u64,
    /// Finished optimiser steps at the time of writing.
    pub steps: u64,
    /// Images per batch.
    pub batch_size: usize,
    /// Batches per optimiser step.
    pub gradient_accumulation_steps: usize,
    /// Batches of one epoch.
    pub num_batches_per_epoch: u64,

    /// Width and height in pixels.
    pub resolution: (u32, u32),
    /// Exposures of one epoch: images times repeats.
    pub num_train_images: u64,
    /// The same of the regularisation images.
    pub num_reg_images: u64,
    /// Folders of images by name.
    pub dataset_dirs: BTreeMap<String, DatasetFolder>,
    /// Folders of regularisation images by name.
    pub reg_dataset_dirs: BTreeMap<String, DatasetFolder>,
    /// By folder name, how many captions have each tag.
    pub tag_frequency: BTreeMap<String, BTreeMap<String, u64>>,
    /// The aspect ratio buckets, when there are any.
    pub bucket_info: Option<serde_json::Value>,
    /// How pictures were sorted into buckets.
    pub buckets: BucketFacts,
    /// What was done to the pictures at random.
    pub augmentation: AugmentationFacts,
    /// Whether captions were shuffled.
    pub shuffle_caption: bool,
    /// Leading tags that were not shuffled.
    pub keep_tokens: usize,
    /// Probability with which a whole caption was dropped.
    pub caption_dropout_rate: f64,
    /// Every so many epochs all captions were dropped; 0 for never.
    pub caption_dropout_every_n_epochs: u64,
    /// Probability with which a single tag was dropped.
    pub caption_tag_dropout_rate: f64,
    /// Tokens of a caption that were used, when more than 75.
    pub max_token_length: Option<usize>,
    /// Which of the text encoder's last layers was used, counted from the end.
    pub clip_skip: Option<usize>,
    /// Whether latents were computed once.
    pub cache_latents: bool,

    /// Whether the network predicts the velocity instead of the noise.
    pub v_prediction: bool,
    /// Strength of the noise offset, when used.
    pub noise_offset: Option<f64>,
    /// Limit of min-SNR weighting, when used.
    pub min_snr_gamma: Option<f64>,
    /// First timestep and the one after the last, when restricted.
    pub timestep_range: Option<(u32, u32)>,
    /// The noise beside its offset.
    pub noise: NoiseFacts,
    /// The loss beside min-SNR weighting.
    pub loss: LossFacts,
    /// Largest norm that a module's correction was scaled back to, when it was.
    pub scale_weight_norms: Option<f64>,
    /// Measuring on pictures that were held back.
    pub validation: ValidationFacts,

    /// A number that is the same in all files of a run.
    pub session_id: u32,
    /// Seconds since 1970, UTC.
    pub training_started_at: f64,
    /// Seconds since 1970, UTC: the time of writing.
    pub training_finished_at: f64,
}

impl Default for TrainingFacts {
    fn default() -> Self {
        Self {
            output_name: String::new(),
            training_comment: None,
            family: Family::default(),
            sd_model: None,
            sd_model_hashes: None,
            vae: None,
            vae_hashes: None,
            network_dim: 4,
            network_alpha: 1.0,
            network_dropout: None,
            learning_rate: 1e-4,
            unet_lr: None,
            text_encoder_lr: None,
            text_encoder_lr_2: None,
            lr_scheduler: "constant".to_owned(),
            lr_warmup_steps: 0,
            optimizer: "AdamW".to_owned(),
            max_grad_norm: 1.0,
            seed: 0,
            mixed_precision: "no".to_owned(),
            full_fp16: false,
            fp8_base: [false; 2],
            low_ram: false,
            gradient_checkpointing: false,
            num_epochs: 1,
            epoch: 0,
            max_train_steps: 0,
            steps: 0,
            batch_size: 1,
            gradient_accumulation_steps: 1,
            num_batches_per_epoch: 0,
            resolution: (512, 512),
            num_train_images: 0,
            num_reg_images: 0,
            dataset_dirs: BTreeMap::new(),
            reg_dataset_dirs: BTreeMap::new(),
            tag_frequency: BTreeMap::new(),
            bucket_info: None,
            buckets: BucketFacts::default(),
            augmentation: AugmentationFacts::default(),
            shuffle_caption: false,
            keep_tokens: 0,
            caption_dropout_rate: 0.0,
            caption_dropout_every_n_epochs: 0,
            caption_tag_dropout_rate: 0.0,
            max_token_length: None,
            clip_skip: None,
            cache_latents: true,
            v_prediction: false,
            noise_offset: None,
            min_snr_gamma: None,
            timestep_range: None,
            noise: NoiseFacts::default(),
            loss: LossFacts::default(),
            scale_weight_norms: None,
            validation: ValidationFacts::default(),
            session_id: 0,
            training_started_at: 0.0,
            training_finished_at: 0.0,
        }
    }
}
