use burn::tensor::Tensor;

use super::{Sampler, SchedulerConfig, noise_levels::NoiseLevels};

/// UniPC of second order (Zhao et al. 2023) with `B(h) = eʰ − 1`, as diffusers' `UniPCMultistepScheduler` steps it by
/// default: every answer of the network first corrects the step before, then predicts the next.
#[derive(Clone, Debug)]
pub struct UniPc {
    levels: NoiseLevels,
    earlier: Option<Earlier>,
}

/// What a step leaves behind for the next one to correct it.
#[derive(Clone, Debug)]
struct Earlier {
    /// The latents before the step, as they were corrected.
    latents: Tensor<4>,
    /// Their denoised form.
    denoised: Tensor<4>,
    /// The denoised form at the step before that, when the step used it.
    older: Option<Tensor<4>>,
}

impl UniPc {
    /// A walk of `steps` steps over the noise that `config` describes.
    pub fn new(config: &SchedulerConfig, steps: usize) -> Self {
        Self {
            levels: NoiseLevels::even_above_the_last(config, steps),
            earlier: None,
        }
    }

    /// `h` of the step before `index` as a fraction of that step's: where the older answer lies.
    fn ratio(&self, index: usize) -> f64 {
        -self.levels.log_step(index - 1) / self.levels.log_step(index)
    }

    /// Step `index − 1` once more, now that the network has answered at its end.
    fn corrected(&self, index: usize, latents: Tensor<4>, denoised: &Tensor<4>) -> Tensor<4> {
        let Some(earlier) = &self.earlier else {
            return latents;
        };
        let change = denoised.clone() - earlier.denoised.clone();
        let slope = match &earlier.older {
            None => change * 0.5,
            Some(older) => {
                let ratio = self.ratio(index - 1);
                let [past, present] = corrector_weights(self.levels.log_step(index - 1), ratio);
                (older.clone() - earlier.denoised.clone()) * (past / ratio) + change * present
            }
        };
        self.moved(
            index - 1,
            earlier.latents.clone(),
            earlier.denoised.clone() + slope,
        )
    }

    /// The latents after step `index` towards `target`.
    fn moved(&self, index: usize, latents: Tensor<4>, target: Tensor<4>) -> Tensor<4> {
        let kept = self.levels.sigma(index + 1) / self.levels.sigma(index);
        latents * kept + target * (1.0 - kept)
    }
}

impl Sampler for UniPc {
    fn timesteps(&self) -> &[f32] {
        &self.levels.timesteps
    }

    fn initial_scale(&self) -> f64 {
        self.levels.initial_scale()
    }

    fn scale_input(&self, index: usize, latents: Tensor<4>) -> Tensor<4> {
        self.levels.scale_input(index, latents)
    }

    fn step(
        &mut self,
        index: usize,
        prediction: Tensor<4>,
        latents: Tensor<4>,
        _noise: Option<Tensor<4>>,
    ) -> Tensor<4> {
        let denoised = self.levels.denoised(index, prediction, latents.clone());
        let latents = self.corrected(index, latents, &denoised);
        let is_last = index + 1 == self.levels.timesteps.len();
        let older = self.earlier.take().map(|earlier| earlier.denoised);
        let older = older.filter(|_| !is_last);
        let target = match &older {
            None => denoised.clone(),
            Some(older) => {
                let slope = (older.clone() - denoised.clone()) / self.ratio(index);
                denoised.clone() + slope * 0.5
            }
        };
        self.earlier = Some(Earlier {
            latents: latents.clone(),
            denoised,
            older,
        });
        self.moved(index, latents, target)
    }
}

/// Weights of the older and the present difference for a step of length `h` (the paper's equation 9 for p = 2).
fn corrector_weights(h: f64, ratio: f64) -> [f64; 2] {
    let step = (-h).exp_m1();
    let first = step / -h - 1.0;
    let second = first / -h - 0.5;
    let [first, second] = [first / step, 2.0 * second / step];
    let past = (first - second) / (1.0 - ratio);
    [past, first - past]
}
