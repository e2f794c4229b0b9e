use burn::tensor::Tensor;

use super::{Sampler, SchedulerConfig, noise_levels::NoiseLevels};

/// DPM-Solver++(2M) (Lu et al. 2022, algorithm 2), a second-order multistep solver, and its form with fresh noise in
/// each step; as diffusers' `DPMSolverMultistepScheduler` steps them with the midpoint rule.
///
/// The first and the last step are of first order: the one knows no earlier answer, the other ends without noise.
#[derive(Clone, Debug)]
pub struct DpmSolver {
    levels: NoiseLevels,
    stochastic: bool,
    /// The denoised latents of the step before.
    earlier: Option<Tensor<4>>,
}

impl DpmSolver {
    /// A walk of `steps` steps over the noise that `config` describes.
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        Self::over(NoiseLevels::even_above_the_last(config, steps))
    }

    /// The same over the levels of Karras et al. 2022.
    pub fn karras(config: &SchedulerConfig, steps: usize) -> Self {
        Self::over(NoiseLevels::karras(config, steps))
    }

    /// The solver of the stochastic equation: "DPM++ 2M SDE".
    pub fn with_noise(mut self) -> Self {
        self.stochastic = true;
        self
    }

    fn over(levels: NoiseLevels) -> Self {
        Self {
            levels,
            stochastic: false,
            earlier: None,
        }
    }

    /// The denoised latents half-way through step `index`, extrapolated along the line from the step before.
    fn midway(&self, index: usize, denoised: &Tensor<4>) -> Tensor<4> {
        let is_last = index + 1 == self.levels.timesteps.len();
        let Some(earlier) = self.earlier.clone().filter(|_| !is_last) else {
            return denoised.clone();
        };
        let ahead = self.levels.log_step(index) / self.levels.log_step(index - 1);
        denoised.clone() + (denoised.clone() - earlier) * (ahead / 2.0)
    }
}

impl Sampler for DpmSolver {
    fn timesteps(&self) -> &[f32] {
        &self.levels.timesteps
    }

    fn initial_scale(&self) -> f64 {
        self.levels.initial_scale()
    }

    fn scale_input(&self, index: usize, latents: Tensor<4>) -> Tensor<4> {
        self.levels.scale_input(index, latents)
    }

    fn needs_noise(&self, index: usize) -> bool {
        self.stochastic && self.levels.sigma(index + 1) > 0.0
    }

    fn step(
        &mut self,
        index: usize,
        prediction: Tensor<4>,
        latents: Tensor<4>,
        noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let denoised = self.levels.denoised(index, prediction, latents.clone());
        let target = self.midway(index, &denoised);
        self.earlier = Some(denoised);

        let to = self.levels.sigma(index + 1);
        // e^−h; with noise, the walk overshoots as far again and the noise makes up for it.
        let shrink = to / self.levels.sigma(index);
        let kept = if self.stochastic {
            shrink * shrink
        } else {
            shrink
        };
        let moved = latents * kept + target * (1.0 - kept);
        match noise {
            Some(noise) if self.stochastic => moved + noise * (to * (1.0 - kept).sqrt()),
            _ => moved,
        }
    }
}
