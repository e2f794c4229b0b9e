use burn::tensor::Tensor;

use super::{
    NoiseSchedule, PredictionType, SchedulerConfig, TimestepSpacing,
    spacing::{evenly_spaced, evenly_spaced_above_the_last},
};

/// Where ᾱ is 0, σ would be infinite; diffusers takes the smallest number of f16 instead.
const SMALLEST_ALPHA: f64 = 1.0 / 16_777_216.0;
/// How strongly Karras et al. crowd their levels towards the low end.
const KARRAS_RHO: f64 = 7.0;

/// How noisy the latents are before each step of a walk, for samplers that work on `latents / √ᾱ`, whose noise has the
/// standard deviation `σ = √((1 − ᾱ) / ᾱ)`.
#[derive(Clone, Debug)]
pub(super) struct NoiseLevels {
    pub(super) timesteps: Vec<f32>,
    /// σ before each step, and 0 after the last.
    sigmas: Vec<f64>,
    prediction_type: PredictionType,
    starts_as_noise_alone: bool,
}

impl NoiseLevels {
    /// Levels at evenly spaced timesteps, the first timestep among them.
    ///
    /// As in diffusers' Euler schedulers, a walk that begins at the last timestep begins with noise alone.
    pub(super) fn even(config: &SchedulerConfig, steps: usize) -> Self {
        let spacing = spacing(config);
        Self {
            starts_as_noise_alone: spacing != TimestepSpacing::Leading,
            ..Self::at(config, &evenly_spaced(config, spacing, steps))
        }
    }

    /// Levels at evenly spaced timesteps without the lowest, where the walk ends: what multistep solvers take.
    pub(super) fn even_above_the_last(config: &SchedulerConfig, steps: usize) -> Self {
        let timesteps = evenly_spaced_above_the_last(config, spacing(config), steps);
        Self::at(config, &timesteps)
    }

    /// Levels of Karras et al. 2022, equation 5, over the whole schedule, at the nearest whole timesteps.
    pub(super) fn karras(config: &SchedulerConfig, steps: usize) -> Self {
        let all = training_sigmas(config);
        let range = [all[all.len() - 1], all[0]];
        let mut levels = Self::karras_between(config, &all, range, steps);
        for timestep in &mut levels.timesteps {
            *timestep = timestep.round_ties_even();
        }
        levels
    }

    /// Levels of Karras et al. between those of [`Self::even`], at timesteps with a fraction.
    pub(super) fn karras_within_even(config: &SchedulerConfig, steps: usize) -> Self {
        let even = Self::even(config, steps);
        let steps = even.timesteps.len();
        let range = [even.sigmas[0], even.sigmas[steps - 1]];
        Self {
            starts_as_noise_alone: even.starts_as_noise_alone,
            ..Self::karras_between(config, &training_sigmas(config), range, steps)
        }
    }

    fn karras_between(
        config: &SchedulerConfig,
        all: &[f64],
        [highest, lowest]: [f64; 2],
        steps: usize,
    ) -> Self {
        let steps = steps.clamp(1, all.len());
        let [from, to] = [highest, lowest].map(|sigma| sigma.powf(1.0 / KARRAS_RHO));
        let along = |step: usize| step as f64 / (steps.max(2) - 1) as f64;
        let sigmas: Vec<f64> = (0..steps)
            .map(|step| (from + along(step) * (to - from)).powf(KARRAS_RHO))
            .collect();
        let timesteps = sigmas.iter().map(|&sigma| timestep_of(sigma, all) as f32);
        Self::new(config, timesteps.collect(), sigmas)
    }

    fn at(config: &SchedulerConfig, timesteps: &[f64]) -> Self {
        let all = training_sigmas(config);
        let sigmas = timesteps.iter().map(|&timestep| sigma_at(timestep, &all));
        let sigmas = sigmas.collect();
        let timesteps = timesteps.iter().map(|&timestep| timestep as f32);
        Self::new(config, timesteps.collect(), sigmas)
    }

    fn new(config: &SchedulerConfig, timesteps: Vec<f32>, mut sigmas: Vec<f64>) -> Self {
        sigmas.push(0.0);
        Self {
            timesteps,
            sigmas,
            prediction_type: config.prediction_type,
            starts_as_noise_alone: false,
        }
    }

    /// σ before step `index`; 0 after the last.
    pub(super) fn sigma(&self, index: usize) -> f64 {
        self.sigmas[index]
    }

    /// `h`, by how much the logarithm of the signal-to-noise ratio's root grows in step `index`; infinite in the last.
    pub(super) fn log_step(&self, index: usize) -> f64 {
        (self.sigmas[index] / self.sigmas[index + 1]).ln()
    }

    /// What standard normal noise is multiplied by to start: σ, or where latents are thought to be below the noise,
    /// the root of both variances.
    pub(super) fn initial_scale(&self) -> f64 {
        let latents = if self.starts_as_noise_alone { 0.0 } else { 1.0 };
        (self.sigmas[0].powi(2) + latents).sqrt()
    }

    /// Latents of step `index` as the network was trained to see them, with variance 1.
    pub(super) fn scale_input(&self, index: usize, latents: Tensor<4>) -> Tensor<4> {
        latents / (self.sigmas[index].powi(2) + 1.0).sqrt()
    }

    /// The latents without noise, as the network's answer at step `index` implies them.
    pub(super) fn denoised(
        &self,
        index: usize,
        prediction: Tensor<4>,
        latents: Tensor<4>,
    ) -> Tensor<4> {
        let sigma = self.sigmas[index];
        match self.prediction_type {
            PredictionType::Epsilon => latents - prediction * sigma,
            PredictionType::VPrediction => {
                let variance = sigma * sigma + 1.0;
                prediction * (-sigma / variance.sqrt()) + latents / variance
            }
        }
    }
}

/// Where samplers over noise levels have their timesteps if nobody says.
fn spacing(config: &SchedulerConfig) -> TimestepSpacing {
    config.timestep_spacing.unwrap_or(TimestepSpacing::Linspace)
}

/// σ of every timestep, rising.
fn training_sigmas(config: &SchedulerConfig) -> Vec<f64> {
    let schedule = NoiseSchedule::new(config);
    let alphas = schedule.alphas_cumprod().iter();
    alphas
        .map(|alpha| alpha.max(SMALLEST_ALPHA))
        .map(|alpha| ((1.0 - alpha) / alpha).sqrt())
        .collect()
}

/// σ at a timestep with a fraction, linearly between its neighbours.
fn sigma_at(timestep: f64, all: &[f64]) -> f64 {
    let below = timestep as usize;
    let above = (below + 1).min(all.len() - 1);
    all[below] + (all[above] - all[below]) * timestep.fract()
}

/// The timestep whose σ is the given one, its logarithm linearly between its neighbours.
fn timestep_of(sigma: f64, all: &[f64]) -> f64 {
    let above = all.partition_point(|&level| level <= sigma);
    let below = above.saturating_sub(1).min(all.len().saturating_sub(2));
    let above = (below + 1).min(all.len() - 1);
    let (low, high) = (all[below].ln(), all[above].ln());
    let fraction = (sigma.ln() - low) / (high - low);
    below as f64 + fraction.clamp(0.0, 1.0)
}
