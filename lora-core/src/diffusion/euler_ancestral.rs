use burn::tensor::Tensor;

use super::{Sampler, SchedulerConfig, noise_levels::NoiseLevels};

/// Euler steps with ancestral noise, as diffusers' `EulerAncestralDiscreteScheduler` steps them.
#[derive(Clone, Debug)]
pub struct EulerAncestral(NoiseLevels);

impl EulerAncestral {
    /// A walk of `steps` steps over the noise that `config` describes.
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        Self(NoiseLevels::even(config, steps))
    }

    /// The standard deviation that step `index` keeps, and the one that it adds as fresh noise.
    fn down_and_up(&self, index: usize) -> [f64; 2] {
        let (from, to) = (self.0.sigma(index), self.0.sigma(index + 1));
        let up = (to * to * (from * from - to * to) / (from * from)).sqrt();
        [(to * to - up * up).sqrt(), up]
    }
}

impl Sampler for EulerAncestral {
    fn timesteps(&self) -> &[f32] {
        &self.0.timesteps
    }

    fn initial_scale(&self) -> f64 {
        self.0.initial_scale()
    }

    fn scale_input(&self, index: usize, latents: Tensor<4>) -> Tensor<4> {
        self.0.scale_input(index, latents)
    }

    fn needs_noise(&self, index: usize) -> bool {
        self.0.sigma(index + 1) > 0.0
    }

    fn step(
        &mut self,
        index: usize,
        prediction: Tensor<4>,
        latents: Tensor<4>,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let sigma = self.0.sigma(index);
        let denoised = self.0.denoised(index, prediction, latents.clone());
        let [down, up] = self.down_and_up(index);
        let derivative = (latents.clone() - denoised) / sigma;
        let moved = latents + derivative * (down - sigma);
        match noise {
            Some(noise) => moved + noise * up,
            None => moved,
        }
    }
}
