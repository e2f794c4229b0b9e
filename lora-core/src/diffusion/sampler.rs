use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Ddim, EulerAncestral, SchedulerConfig};

/// Walks from noise to latents in a fixed number of steps.
pub trait Sampler {
    /// The timestep of each step.
    fn timesteps(&self) -> &[f32];

    /// What standard normal noise is multiplied by to start.
    fn initial_scale(&self) -> f64 {
        1.0
    }

    /// The latents as the network is to see them at step `index`.
    fn scale_input(&self, index: usize, latents: Tensor<4>) -> Tensor<4> {
        let _ = index;
        latents
    }

    /// Whether [`Self::step`] adds fresh noise at step `index`.
    fn needs_noise(&self, index: usize) -> bool {
        let _ = index;
        false
    }

    /// The latents after step `index`.
    ///
    /// `prediction` is the network's answer to the scaled latents; `noise` is standard normal, given where it is
    /// [needed](Self::needs_noise).
    fn step(
        &self,
        index: usize,
        prediction: Tensor<4>,
        latents: Tensor<4>,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4>;
}

/// A sampler by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SamplerKind {
    /// DDIM with η = 0 (Song et al. 2021): needs no noise on the way.
    #[default]
    Ddim,
    /// Euler with ancestral noise (k-diffusion's `sample_euler_ancestral`), A1111's "Euler a".
    EulerA,
}

impl SamplerKind {
    /// A sampler of `steps` steps over the noise that `config` describes, with diffusers' "leading" spacing.
    pub fn build(self, config: &SchedulerConfig, steps: usize) -> Box<dyn Sampler> {
        match self {
            Self::Ddim => Box::new(Ddim::new(config, steps)),
            Self::EulerA => Box::new(EulerAncestral::new(config, steps)),
        }
    }

    /// The name that A1111 writes into pictures.
    pub fn label(self) -> &'static str {
        match self {
            Self::Ddim => "DDIM",
            Self::EulerA => "Euler a",
        }
    }
}

/// `steps` timesteps in falling order, evenly spaced from `steps_offset` up (diffusers' "leading").
pub(super) fn leading_timesteps(config: &SchedulerConfig, steps: usize) -> Vec<usize> {
    let steps = steps.clamp(1, config.num_train_timesteps);
    let ratio = config.num_train_timesteps / steps;
    let last = config.num_train_timesteps - 1;
    (0..steps)
        .rev()
        .map(|index| (index * ratio + config.steps_offset).min(last))
        .collect()
}
