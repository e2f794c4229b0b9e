use burn::tensor::{DType, Tensor, TensorData};
use lora_core::{
    BaseModel,
    diffusion::{NoiseSchedule, PredictionType},
};

use crate::{Batch, config::ObjectiveConfig};

/// The one place where the loss is defined: noise, target, weighting.
pub trait Objective: Send {
    /// The loss of a batch, one number on the device, differentiable in the model's adapters.
    fn loss(&self, model: &BaseModel, batch: &Batch) -> Tensor<1>;
}

/// The denoising loss of Stable Diffusion: the mean over the batch of each picture's weighted mean squared error.
#[derive(Clone, Debug)]
pub struct Denoising {
    schedule: NoiseSchedule,
    min_snr_gamma: Option<f64>,
    noise_offset: Option<f64>,
    clip_skip: usize,
}

impl Denoising {
    /// The objective that `config` describes, on the model's noise schedule; `clip_skip` as in
    /// [`lora_core::TextConditioner::encode`].
    pub fn new(config: &ObjectiveConfig, model: &BaseModel, clip_skip: usize) -> Self {
        Self {
            schedule: NoiseSchedule::new(&model.scheduler),
            min_snr_gamma: config.min_snr_gamma,
            noise_offset: config.noise_offset,
            clip_skip,
        }
    }

    /// The weight of a timestep: min(SNR, γ) / SNR for epsilon, min(SNR, γ) / (SNR + 1) for velocity
    /// (Hang et al. 2023; kohya's `apply_snr_weight`).
    fn weight(&self, timestep: usize) -> f64 {
        let snr = self.schedule.snr(timestep);
        match (self.min_snr_gamma, self.schedule.prediction_type()) {
            (None, _) => 1.0,
            (Some(gamma), PredictionType::Epsilon) => snr.min(gamma) / snr,
            (Some(gamma), PredictionType::VPrediction) => snr.min(gamma) / (snr + 1.0),
        }
    }

    /// The mean squared error of each picture, `[batch]`, masked but otherwise unweighted.
    ///
    /// As kohya's `apply_masked_loss`: each latent's error times the mask, then the mean over all latents, masked or not.
    pub(crate) fn errors(&self, model: &BaseModel, batch: &Batch) -> Tensor<1> {
        let noise = match self.noise_offset {
            Some(offset) => batch.noise.clone() + batch.noise_offset.clone() * offset,
            None => batch.noise.clone(),
        };
        let noisy = self
            .schedule
            .add_noise(batch.latents.clone(), noise.clone(), &batch.timesteps);
        let timesteps: Vec<f32> = batch
            .timesteps
            .iter()
            .map(|&timestep| timestep as f32)
            .collect();
        let conditions = batch.conditions(model, self.clip_skip);
        let prediction = model
            .unet
            .forward(noisy.cast(conditions.text.dtype()), &timesteps, &conditions)
            .cast(DType::F32);
        let target = self
            .schedule
            .target(batch.latents.clone(), noise, &batch.timesteps);
        let [count, channels, height, width] = target.dims();
        let errors = (prediction - target).square();
        let errors = match &batch.mask {
            Some(mask) => errors * mask.clone(),
            None => errors,
        };
        errors
            .reshape([count, channels * height * width])
            .mean_dim(1)
            .reshape([count])
    }
}

impl Objective for Denoising {
    fn loss(&self, model: &BaseModel, batch: &Batch) -> Tensor<1> {
        let errors = self.errors(model, batch);
        let weights: Vec<f32> = batch
            .timesteps
            .iter()
            .enumerate()
            .map(|(item, &timestep)| {
                let own = batch.loss_weights.get(item).copied().unwrap_or(1.0);
                self.weight(timestep) as f32 * own
            })
            .collect();
        let weights = TensorData::new(weights, [batch.timesteps.len()]);
        (errors * Tensor::from_data(weights, &batch.latents.device())).mean()
    }
}
