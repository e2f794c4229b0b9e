use burn::tensor::Tensor;

use super::{
    NoiseSchedule, PredictionType, Sampler, SchedulerConfig, TimestepSpacing,
    spacing::evenly_spaced,
};

/// DDIM with η = 0 (Song et al. 2021), as diffusers' `DDIMScheduler` steps it.
#[derive(Clone, Debug)]
pub struct Ddim {
    timesteps: Vec<f32>,
    /// ᾱ before and after each step.
    alphas: Vec<[f64; 2]>,
    prediction_type: PredictionType,
}

impl Ddim {
    /// A walk of `steps` steps over the noise that `config` describes.
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let schedule = NoiseSchedule::new(config);
        let spacing = config.timestep_spacing.unwrap_or(TimestepSpacing::Leading);
        let timesteps: Vec<usize> = evenly_spaced(config, spacing, steps)
            .into_iter()
            .map(|timestep| timestep.round_ties_even() as usize)
            .collect();
        let stride = config.num_train_timesteps / timesteps.len();
        let last = if config.set_alpha_to_one {
            1.0
        } else {
            schedule.alphas_cumprod()[0]
        };
        let after = |timestep: usize| {
            timestep
                .checked_sub(stride)
                .map_or(last, |next| schedule.alphas_cumprod()[next])
        };
        Self {
            alphas: timesteps
                .iter()
                .map(|&timestep| [schedule.alphas_cumprod()[timestep], after(timestep)])
                .collect(),
            timesteps: timesteps.iter().map(|&timestep| timestep as f32).collect(),
            prediction_type: config.prediction_type,
        }
    }
}

impl Sampler for Ddim {
    fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    fn step(
        &mut self,
        index: usize,
        prediction: Tensor<4>,
        latents: Tensor<4>,
        _noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let [alpha, next] = self.alphas[index];
        let (signal, sigma) = (alpha.sqrt(), (1.0 - alpha).sqrt());
        let (clean, noise) = match self.prediction_type {
            PredictionType::Epsilon => {
                ((latents - prediction.clone() * sigma) / signal, prediction)
            }
            PredictionType::VPrediction => (
                latents.clone() * signal - prediction.clone() * sigma,
                prediction * signal + latents * sigma,
            ),
        };
        clean * next.sqrt() + noise * (1.0 - next).sqrt()
    }
}
