use burn::tensor::Tensor;

use super::{NoiseSchedule, PredictionType, Sampler, SchedulerConfig, sampler::leading_timesteps};

/// Euler steps with ancestral noise, as diffusers' `EulerAncestralDiscreteScheduler` steps them.
///
/// Works on `latents / √ᾱ`, whose noise has the standard deviation σ = √((1 − ᾱ) / ᾱ).
#[derive(Clone, Debug)]
pub struct EulerAncestral {
    timesteps: Vec<f32>,
    /// σ before each step, and 0 after the last.
    sigmas: Vec<f64>,
    prediction_type: PredictionType,
}

impl EulerAncestral {
    /// A walk of `steps` steps over the noise that `config` describes.
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        let schedule = NoiseSchedule::new(config);
        let timesteps = leading_timesteps(config, steps);
        Self {
            sigmas: timesteps
                .iter()
                .map(|&timestep| schedule.snr(timestep).powf(-0.5))
                .chain([0.0])
                .collect(),
            timesteps: timesteps.iter().map(|&timestep| timestep as f32).collect(),
            prediction_type: config.prediction_type,
        }
    }

    /// The standard deviation that step `index` keeps, and the one that it adds as fresh noise.
    fn down_and_up(&self, index: usize) -> [f64; 2] {
        let (from, to) = (self.sigmas[index], self.sigmas[index + 1]);
        let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
        [(to * to - up * up).sqrt(), up]
    }
}

impl Sampler for EulerAncestral {
    fn timesteps(&self) -> &[f32] {
        &self.timesteps
    }

    fn initial_scale(&self) -> f64 {
        (self.sigmas[0].powi(2) + 1.0).sqrt()
    }

    fn scale_input(&self, index: usize, latents: Tensor<4>) -> Tensor<4> {
        latents / (self.sigmas[index].powi(2) + 1.0).sqrt()
    }

    fn needs_noise(&self, index: usize) -> bool {
        self.sigmas[index + 1] > 0.0
    }

    fn step(
        &self,
        index: usize,
        prediction: Tensor<4>,
        latents: Tensor<4>,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let sigma = self.sigmas[index];
        let clean = match self.prediction_type {
            PredictionType::Epsilon => latents.clone() - prediction * sigma,
            PredictionType::VPrediction => {
                let variance = sigma * sigma + 1.0;
                prediction * (-sigma / variance.sqrt()) + latents.clone() / variance
            }
        };
        let [down, up] = self.down_and_up(index);
        let derivative = (latents.clone() - clean) / sigma;
        let moved = latents + derivative * (down - sigma);
        match noise {
            Some(noise) => moved + noise * up,
            None => moved,
        }
    }
}
