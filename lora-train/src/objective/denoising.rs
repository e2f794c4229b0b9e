use burn::tensor::{DType, Tensor, TensorData};
use lora_core::{BaseModel, diffusion::NoiseSchedule};

use super::{
    Objective, ObjectiveError, noise_shaping::NoiseShaping, point_loss::PointLoss, timestep_weight,
};
use crate::{Batch, config::ObjectiveConfig};

/// The denoising loss of Stable Diffusion: each picture's weighted mean error.
#[derive(Clone, Debug)]
pub struct Denoising {
    schedule: NoiseSchedule,
    shaping: NoiseShaping,
    point_loss: PointLoss,
    /// Of each timestep.
    weights: Vec<f32>,
    clip_skip: usize,
}

impl Denoising {
    /// The objective that `config` describes, on the model's noise schedule; `clip_skip` as in
    /// [`lora_core::TextConditioner::encode`].
    ///
    /// Takes the settings as they are; [`Self::check`] says whether they make sense.
    pub fn new(config: &ObjectiveConfig, model: &BaseModel, clip_skip: usize) -> Self {
        let schedule = NoiseSchedule::new(&model.scheduler);
        let weights = timestep_weight::table(config, &schedule);
        Self {
            shaping: NoiseShaping::new(config),
            point_loss: PointLoss::new(config, &schedule),
            weights: weights.into_iter().map(|weight| weight as f32).collect(),
            schedule,
            clip_skip,
        }
    }

    /// Whether `config` makes sense by itself, and for this model.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check(config: &ObjectiveConfig, model: &BaseModel) -> Result<(), Vec<ObjectiveError>> {
        let schedule = NoiseSchedule::new(&model.scheduler);
        let mut errors = config.problems();
        errors.extend(config.misfits(&schedule));
        if errors.is_empty() {
            Ok(())
        } else {
            Err(errors)
        }
    }

    /// The mean error of each picture, `[batch]`, masked but otherwise unweighted.
    ///
    /// As kohya's `apply_masked_loss`: each latent's error times the mask, then the mean over all latents, masked or not.
    pub(crate) fn errors(&self, model: &BaseModel, batch: &Batch) -> Tensor<1> {
        let noise = self.shaping.noise(batch);
        let noisy = self.schedule.add_noise(
            batch.latents.clone(),
            self.shaping.input_noise(noise.clone(), &batch.draws),
            &batch.timesteps,
        );
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
        let errors = self
            .point_loss
            .errors(prediction - target, &batch.timesteps);
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
                self.weights[timestep] * own
            })
            .collect();
        let weights = TensorData::new(weights, [batch.timesteps.len()]);
        errors * Tensor::from_data(weights, &batch.latents.device())
    }
}
