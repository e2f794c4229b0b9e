//! What saved files tell about their training.

use std::{
    num::NonZeroU64,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use lora_core::{
    ActivationCheckpointing, BaseModel, Family, Precision,
    adapter::Target,
    diffusion::PredictionType,
    lora_file::{LossFacts, ModelHashes, NoiseFacts, TrainingFacts, ValidationFacts},
};
use lora_data::{Dataset, SplitSize, tag_frequency};
use serde_json::Value;

use crate::{
    Plan,
    config::{ObjectiveConfig, OptimizerConfig, TimestepConfig, TrainConfig},
    data_facts,
    network_entries::stored_ranks,
};

/// The facts that stay the same over a run; epoch, steps and time are filled in at each saving. `hashes_of` reads the whole
/// of a model's file.
pub(crate) fn facts(
    config: &TrainConfig,
    data: &dyn Dataset,
    model: &BaseModel,
    plan: &Plan,
    hashes_of: impl Fn(&Path) -> Option<ModelHashes>,
) -> TrainingFacts {
    let path = &config.model.path;
    let vae = config.model.vae.as_deref();
    let tags = tag_frequency(data.entries())
        .into_iter()
        .map(|(folder, tags)| {
            (
                folder,
                tags.into_iter()
                    .map(|(tag, count)| (tag, count as u64))
                    .collect(),
            )
        });
    let trained = |rate: f64, targets: &[Target]| {
        let some = config
            .lora
            .targets
            .iter()
            .any(|target| targets.contains(target));
        (rate > 0.0 && some).then_some(rate)
    };
    let text = config.trains_text();
    let captions = data_facts::captions(config, data);
    TrainingFacts {
        output_name: config.output.name.clone(),
        training_comment: config.output.comment.clone(),
        sd_model: name_of(path),
        sd_model_hashes: hashes_of(path),
        vae: vae.and_then(name_of),
        vae_hashes: vae.and_then(&hashes_of),
        validation: validation(config, plan),
        network_dim: stored_ranks(&config.lora) * config.lora.rank,
        network_alpha: f64::from(config.lora.alpha) * stored_ranks(&config.lora) as f64,
        network_dropout: Some(config.lora.dropout.hidden).filter(|rate| *rate > 0.0),
        scale_weight_norms: config.lora.max_norm,
        learning_rate: config.train.unet_lr,
        unet_lr: trained(
            config.train.unet_lr,
            &[Target::Attention, Target::Convolution],
        ),
        text_encoder_lr: text.then_some(config.train.text_lr),
        text_encoder_lr_2: text
            .then_some(config.train.second_text_lr())
            .filter(|_| model.family == Family::Sdxl),
        lr_scheduler: config.schedule.kind.name().to_owned(),
        lr_warmup_steps: config.schedule.warmup.steps(plan.steps),
        optimizer: optimizer_name(&config.optimizer),
        max_grad_norm: config.train.max_grad_norm,
        seed: config.train.seed,
        mixed_precision: match config.model.precision {
            Precision::Auto | Precision::F32 => "no",
            Precision::Bf16 => "bf16",
            Precision::F16 => "fp16",
        }
        .to_owned(),
        num_epochs: plan.epochs,
        max_train_steps: plan.steps,
        batch_size: config.train.batch_size.get(),
        gradient_accumulation_steps: config.train.accumulation.get(),
        gradient_checkpointing: config.train.gradient_checkpointing
            != ActivationCheckpointing::None,
        num_batches_per_epoch: plan.batches_per_epoch,
        resolution: (
            config.dataset.resolution.width,
            config.dataset.resolution.height,
        ),
        num_train_images: data_facts::exposures(data, false),
        num_reg_images: data_facts::exposures(data, true),
        dataset_dirs: data_facts::folders(data, false),
        reg_dataset_dirs: data_facts::folders(data, true),
        tag_frequency: tags.collect(),
        bucket_info: data_facts::bucket_info(config, data),
        buckets: data_facts::buckets(config, data),
        augmentation: data_facts::augmentation(data),
        caption_dropout_every_n_epochs: captions.dropout_every_epochs,
        caption_tag_dropout_rate: captions.tag_dropout,
        shuffle_caption: captions.shuffle,
        keep_tokens: captions.keep_tokens,
        caption_dropout_rate: captions.dropout,
        max_token_length: (config.model.max_tokens > 75).then_some(config.model.max_tokens),
        clip_skip: (config.model.clip_skip > 1).then_some(config.model.clip_skip),
        family: model.family,
        v_prediction: model.scheduler.prediction_type == PredictionType::VPrediction,
        noise_offset: config.objective.noise_offset,
        noise: noise_facts(&config.objective, model),
        loss: loss_facts(config),
        timestep_range: timestep_range(&config.timesteps, model),
        min_snr_gamma: config.objective.min_snr_gamma,
        session_id: config.train.seed as u32,
        training_started_at: now(),
        ..TrainingFacts::default()
    }
}

/// How much is held out, and when it is measured.
fn validation(config: &TrainConfig, plan: &Plan) -> ValidationFacts {
    ValidationFacts {
        images: plan.heldout.len() as u64,
        split: match config.heldout.split {
            Some(SplitSize::Part(part)) => part,
            _ => 0.0,
        },
        every_n_epochs: config.heldout.every_epochs.map(NonZeroU64::get),
        every_n_steps: Some(config.heldout.every)
            .filter(|&every| every > 0 && !plan.heldout.is_empty()),
        ..ValidationFacts::default()
    }
}

fn noise_facts(config: &ObjectiveConfig, model: &BaseModel) -> NoiseFacts {
    NoiseFacts {
        offset_random_strength: config.noise_offset_random_strength,
        adaptive_scale: config.adaptive_noise_scale,
        multires_iterations: config.multires_noise_iterations,
        multires_discount: config.multires_noise_discount,
        input_perturbation: config.input_perturbation,
        input_perturbation_random_strength: config.input_perturbation_random_strength,
        zero_terminal_snr: model.scheduler.rescale_betas_zero_snr,
    }
}

fn loss_facts(config: &TrainConfig) -> LossFacts {
    let objective = &config.objective;
    LossFacts {
        kind: objective.loss_type.name().to_owned(),
        huber_schedule: objective.huber_schedule.name().to_owned(),
        huber_c: objective.huber_c,
        huber_scale: objective.huber_scale,
        debiased_estimation: objective.debiased_estimation,
        prior_loss_weight: config.dataset.prior_loss_weight,
    }
}

/// First timestep and the one after the last, where only a part is trained.
fn timestep_range(config: &TimestepConfig, model: &BaseModel) -> Option<(u32, u32)> {
    let end = config.max.unwrap_or(model.scheduler.num_train_timesteps);
    config
        .is_limited()
        .then_some((config.min as u32, end as u32))
}

fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?;
    Some(name.to_string_lossy().into_owned())
}

/// Hashes of a file; a folder has none that other programs know.
pub(crate) fn hashes_of(path: &Path) -> Option<ModelHashes> {
    path.is_file()
        .then(|| ModelHashes::of_file(path).ok())
        .flatten()
}

/// Whole seconds since 1970, so that they are spelt in as many characters as any others; those of `SOURCE_DATE_EPOCH` where it
/// is set, so that files can be made again to the byte (reproducible-builds.org).
pub(crate) fn now() -> f64 {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok();
    if let Some(seconds) = fixed.and_then(|text| text.parse().ok()) {
        return seconds;
    }
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |since| since.as_secs() as f64)
}

/// Name and settings in the form of kohya's files: `AdamW(betas=(0.9, 0.999),eps=1e-8,weight_decay=0.01)`.
fn optimizer_name(config: &OptimizerConfig) -> String {
    let Ok(Value::Object(settings)) = serde_json::to_value(config) else {
        return config.name().to_owned();
    };
    let settings = settings
        .iter()
        .filter(|(key, value)| *key != "kind" && !value.is_null());
    let settings: Vec<String> = settings
        .map(|(key, value)| match value {
            Value::Array(parts) => {
                let parts: Vec<String> = parts.iter().map(Value::to_string).collect();
                format!("{key}=({})", parts.join(", "))
            }
            value => format!("{key}={value}"),
        })
        .collect();
    format!("{}({})", config.name(), settings.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_optimizer_is_named_with_its_settings() {
        let name = |text: &str| optimizer_name(&toml::from_str(text).expect("a config"));
        assert_eq!(
            name("kind = 'adamw'"),
            "AdamW(betas=(0.9, 0.999),eps=1e-8,weight_decay=0.01)"
        );
        assert_eq!(
            name("kind = 'sgd'"),
            "SGD(momentum=0.9,nesterov=true,weight_decay=0.0)"
        );
    }
}
