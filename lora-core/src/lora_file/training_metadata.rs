//! The facts of a training run as `ss_*` and `modelspec.*` entries.

use std::collections::BTreeMap;
use std::path::Path;

use super::python_text::{boolean, float, json, optional};
use super::training_facts::Entries;
use super::{TrainingFacts, family_entries, model_spec};

/// How much of the training set a file tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Privacy {
    /// Everything that sd-scripts would write.
    #[default]
    Open,
    /// No tags, no folder names and no names of the base model's and the VAE's files. Their hashes stay: they
    /// say what the LoRA fits.
    Private,
}

impl TrainingFacts {
    /// The metadata in sd-scripts' keys and spelling. The `sshs_*` hashes are added when the file is written.
    pub fn metadata(&self, privacy: Privacy) -> BTreeMap<String, String> {
        let mut metadata = family_entries(self.family, self.v_prediction);
        let mut add = |entries: Entries| {
            metadata.extend(
                entries
                    .into_iter()
                    .map(|(key, value)| (format!("ss_{key}"), value)),
            );
        };
        add(self.network());
        add(self.optimisation());
        add(self.progress());
        add(self.data());
        add(self.buckets.entries());
        add(self.augmentation.entries());
        add(self.noise.entries());
        add(self.loss.entries());
        add(self.validation.entries());
        if privacy == Privacy::Open {
            add(self.private_data());
        }
        for (key, value) in model_spec::entries(self) {
            metadata.insert(format!("modelspec.{key}"), value);
        }
        metadata
    }

    fn network(&self) -> Entries {
        let mut entries = vec![
            ("network_alpha", float(self.network_alpha)),
            ("network_dim", self.network_dim.to_string()),
            ("network_dropout", optional(self.network_dropout, float)),
            ("network_module", "networks.lora".to_owned()),
            ("output_name", self.output_name.clone()),
            (
                "training_comment",
                optional(self.training_comment.clone(), |comment| comment),
            ),
        ];
        if let Some(hashes) = &self.sd_model_hashes {
            entries.push(("sd_model_hash", hashes.legacy.clone()));
            entries.push(("new_sd_model_hash", hashes.sha256.clone()));
        }
        if let Some(hashes) = &self.vae_hashes {
            entries.push(("vae_hash", hashes.legacy.clone()));
            entries.push(("new_vae_hash", hashes.sha256.clone()));
        }
        entries
    }

    fn optimisation(&self) -> Entries {
        vec![
            (
                "clip_skip",
                optional(self.clip_skip, |layers| layers.to_string()),
            ),
            ("fp8_base", boolean(self.fp8_base[0])),
            ("fp8_base_unet", boolean(self.fp8_base[1])),
            (
                "gradient_checkpointing",
                boolean(self.gradient_checkpointing),
            ),
            ("full_fp16", boolean(self.full_fp16)),
            ("learning_rate", float(self.learning_rate)),
            ("lowram", boolean(self.low_ram)),
            ("lr_scheduler", self.lr_scheduler.clone()),
            ("lr_warmup_steps", self.lr_warmup_steps.to_string()),
            ("max_grad_norm", float(self.max_grad_norm)),
            ("min_snr_gamma", optional(self.min_snr_gamma, float)),
            ("mixed_precision", self.mixed_precision.clone()),
            ("noise_offset", optional(self.noise_offset, float)),
            ("optimizer", self.optimizer.clone()),
            (
                "scale_weight_norms",
                optional(self.scale_weight_norms, float),
            ),
            ("seed", self.seed.to_string()),
            ("text_encoder_lr", self.text_rates()),
            ("unet_lr", optional(self.unet_lr, float)),
        ]
    }

    /// One number, or where two encoders differ a list, as sd-scripts has it.
    fn text_rates(&self) -> String {
        match (self.text_encoder_lr, self.text_encoder_lr_2) {
            (Some(first), Some(second)) if first.to_bits() != second.to_bits() => {
                format!("[{}, {}]", float(first), float(second))
            }
            (first, _) => optional(first, float),
        }
    }

    fn progress(&self) -> Entries {
        let total_batch_size = self.batch_size * self.gradient_accumulation_steps;
        vec![
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

    fn data(&self) -> Entries {
        let (width, height) = self.resolution;
        vec![
            ("bucket_info", json(&self.bucket_info)),
            ("cache_latents", boolean(self.cache_latents)),
            (
                "caption_dropout_every_n_epochs",
                self.caption_dropout_every_n_epochs.to_string(),
            ),
            (
                "caption_tag_dropout_rate",
                float(self.caption_tag_dropout_rate),
            ),
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
    fn private_data(&self) -> Entries {
        let mut entries = vec![
            ("dataset_dirs", json(&self.dataset_dirs)),
            ("reg_dataset_dirs", json(&self.reg_dataset_dirs)),
            ("tag_frequency", json(&self.tag_frequency)),
        ];
        for (key, path) in [("sd_model_name", &self.sd_model), ("vae_name", &self.vae)] {
            let name = path.as_deref().map(Path::new).and_then(Path::file_name);
            if let Some(name) = name {
                entries.push((key, name.to_string_lossy().into_owned()));
            }
        }
        entries
    }
}
