use burn::tensor::Tensor;

use super::{Sampler, SchedulerConfig, noise_levels::NoiseLevels};

/// Euler steps along the probability flow (Karras et al. 2022, algorithm 2 without churn), as diffusers'
/// `EulerDiscreteScheduler` steps them.
#[derive(Clone, Debug)]
pub struct Euler(NoiseLevels);

impl Euler {
    /// A walk of `steps` steps over the noise that `config` describes.
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        Self(NoiseLevels::even(config, steps))
    }

    /// The same over the levels of Karras et al. between the first and the last of [`Self::new`], as diffusers takes
    /// them for `use_karras_sigmas`.
    pub fn karras(config: &SchedulerConfig, steps: usize) -> Self {
        Self(NoiseLevels::karras_within_even(config, steps))
    }
}

impl Sampler for Euler {
    fn timesteps(&self) -> &[f32] {
        &self.0.timesteps
    }

    fn initial_scale(&self) -> f64 {
        self.0.initial_scale()
    }

    fn scale_input(&self, index: usize, latents: Tensor<4>) -> Tensor<4> {
        self.0.scale_input(index, latents)
    }

    fn step(
        &mut self,
        index: usize,
        prediction: Tensor<4>,
        latents: Tensor<4>,
        _noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let (from, to) = (self.0.sigma(index), self.0.sigma(index + 1));
        let denoised = self.0.denoised(index, prediction, latents.clone());
        let derivative = (latents.clone() - denoised) / from;
        latents + derivative * (to - from)
    }
}
