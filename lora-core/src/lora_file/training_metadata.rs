//! The facts of a training run as `ss_*` and `modelspec.*` entries.

use std::collections::BTreeMap;
use std::path::Path;

use super::python_text::{boolean, float, json, optional};
use super::{BaseVersion, TrainingFacts, model_spec};

/// How much of the training set a file tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Privacy {
    /// Everything that sd-scripts would write.
    #[default]
    Open,
    /// No tags, no folder names and no name of the base model's file. Its hash stays: it says what the LoRA fits.
    Private,
}

impl TrainingFacts {
    /// The metadata in sd-scripts' keys and spelling. The `sshs_*` hashes are added when the file is written.
    pub fn metadata(&self, privacy: Privacy) -> BTreeMap<String, String> {
        let mut metadata = BTreeMap::new();
        for (key, value) in self.network().into_iter().chain(self.optimisation()) {
            metadata.insert(format!("ss_{key}"), value);
        }
        for (key, value) in self.progress().into_iter().chain(self.data()) {
            metadata.insert(format!("ss_{key}"), value);
        }
        if privacy == Privacy::Open {
            for (key, value) in self.private_data() {
                metadata.insert(format!("ss_{key}"), value);
            }
        }
        for (key, value) in model_spec::entries(self) {
            metadata.insert(format!("modelspec.{key}"), value);
        }
        metadata
    }

    fn network(&self) -> Vec<(&'static str, String)> {
        let mut entries = vec![
            ("base_model_version", self.base_version.name().to_owned()),
            ("network_alpha", float(self.network_alpha)),
            ("network_dim", self.network_dim.to_string()),
            ("network_dropout", optional(self.network_dropout, float)),
            ("network_module", "networks.lora".to_owned()),
            ("output_name", self.output_name.clone()),
            (
                "training_comment",
                optional(self.training_comment.clone(), |comment| comment),
            ),
            ("v2", boolean(false)),
        ];
        if let Some(hashes) = &self.sd_model_hashes {
            entries.push(("sd_model_hash", hashes.legacy.clone()));
            entries.push(("new_sd_model_hash", hashes.sha256.clone()));
        }
        entries
    }

    fn optimisation(&self) -> [(&'static str, String); 13] {
        [
            (
                "clip_skip",
                optional(self.clip_skip, |layers| layers.to_string()),
            ),
            (
                "gradient_checkpointing",
                boolean(self.gradient_checkpointing),
            ),
            ("learning_rate", float(self.learning_rate)),
            ("lr_scheduler", self.lr_scheduler.clone()),
            ("lr_warmup_steps", self.lr_warmup_steps.to_string()),
            ("max_grad_norm", float(self.max_grad_norm)),
            ("min_snr_gamma", optional(self.min_snr_gamma, float)),
            ("mixed_precision", self.mixed_precision.clone()),
            ("noise_offset", optional(self.noise_offset, float)),
            ("optimizer", self.optimizer.clone()),
            ("seed", self.seed.to_string()),
            ("text_encoder_lr", optional(self.text_encoder_lr, float)),
            ("unet_lr", optional(self.unet_lr, float)),
        ]
    }

    fn progress(&self) -> [(&'static str, String); 11] {
        let total_batch_size = self.batch_size * self.gradient_accumulation_steps;
        [
            ("batch_size_per_device", self.batch_size.to_string()),
            ("epoch", self.epoch.to_string()),
            (
                "gradient_accumulation_steps",
                self.gradient_accumulation_steps.to_string(),
            ),
            ("max_train_steps", self.max_train_steps.to_string()),
            (
                "num_batches_per_epoch",
                self.num_batches_per_epoch.to_string(),
            ),
            ("num_epochs", self.num_epochs.to_string()),
            ("session_id", self.session_id.to_string()),
            ("steps", self.steps.to_string()),
            ("total_batch_size", total_batch_size.to_string()),
            ("training_finished_at", float(self.training_finished_at)),
            ("training_started_at", float(self.training_started_at)),
        ]
    }

    fn data(&self) -> [(&'static str, String); 9] {
        let (width, height) = self.resolution;
        [
            ("bucket_info", json(&self.bucket_info)),
            ("cache_latents", boolean(self.cache_latents)),
            ("caption_dropout_rate", float(self.caption_dropout_rate)),
            ("keep_tokens", self.keep_tokens.to_string()),
            (
                "max_token_length",
                optional(self.max_token_length, |tokens| tokens.to_string()),
            ),
            ("num_reg_images", self.num_reg_images.to_string()),
            ("num_train_images", self.num_train_images.to_string()),
            ("resolution", format!("({width}, {height})")),
            ("shuffle_caption", boolean(self.shuffle_caption)),
        ]
    }

    /// What [`Privacy::Private`] leaves out.
    fn private_data(&self) -> Vec<(&'static str, String)> {
        let mut entries = vec![
            ("dataset_dirs", json(&self.dataset_dirs)),
            ("tag_frequency", json(&self.tag_frequency)),
        ];
        let name = self
            .sd_model
            .as_deref()
            .map(Path::new)
            .and_then(Path::file_name);
        if let Some(name) = name {
            entries.push(("sd_model_name", name.to_string_lossy().into_owned()));
        }
        entries
    }
}

impl BaseVersion {
    /// The value of `ss_base_model_version`.
    fn name(self) -> &'static str {
        match self {
            Self::StableDiffusion1 => "sd_v1",
        }
    }
}
