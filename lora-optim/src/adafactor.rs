//! Adafactor: second moments as one number for each row and one for each column.

use burn::{
    optim::RecordState,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices, Optimizer, OptimizerError, Rates, SettingError, State, StateError, pair, setting,
    slots::Slots,
};

/// Adafactor (Shazeer and Stern, arXiv:1804.04235), as transformers' `Adafactor` computes it for matrices.
///
/// The defaults are those that LoRA trainers recommend: a rate from outside. With `relative_step` the step size is
/// Adafactor's own, the learning rate is a factor on it, and 1 is usual. The factors of a convolution are matrices here,
/// so that they have one row of numbers, where transformers factors each kernel by itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdafactorConfig {
    /// Added to the squared gradient; smallest size of a matrix for `scale_parameter`.
    pub eps: [f64; 2],
    /// Root mean square that a step may have before the rate is applied.
    pub clip_threshold: f64,
    /// The decay of the running means is 1 minus this power of the number of the step.
    pub decay_rate: f64,
    /// Part of the matrix, times the step size, that each step takes away.
    pub weight_decay: f64,
    /// Steps in proportion to the root mean square of the matrix.
    pub scale_parameter: bool,
    /// A step size of 0.01, later of 1 over the root of the number of the step.
    pub relative_step: bool,
    /// With `relative_step`, begins with step sizes of 1e-6 times the number of the step.
    pub warmup_init: bool,
}

impl Default for AdafactorConfig {
    fn default() -> Self {
        Self {
            eps: [1e-30, 1e-3],
            clip_threshold: 1.0,
            decay_rate: -0.8,
            weight_decay: 0.0,
            scale_parameter: false,
            relative_step: false,
            warmup_init: false,
        }
    }
}

impl AdafactorConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let falling = self.decay_rate < 0.0 && self.decay_rate.is_finite();
        let warmup = self.relative_step || !self.warmup_init;
        let problems = [
            setting::positive("eps", self.eps[0]),
            setting::positive("eps", self.eps[1]),
            setting::positive("clip_threshold", self.clip_threshold),
            Vec::from_iter(setting::require(
                falling,
                "decay_rate",
                "below 0",
                self.decay_rate,
            )),
            setting::not_negative("weight_decay", self.weight_decay),
            Vec::from_iter(setting::require(
                warmup,
                "warmup_init",
                "false (0) unless relative_step is true",
                1.0,
            )),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            Box::new(Adafactor {
                config: self.clone(),
                slots: Slots::new(),
            })
        })
    }

    /// The step size of step number `time`, counted from 1, before `scale_parameter`.
    fn step_size(&self, time: usize, rate: f64) -> f64 {
        let time = time as f64;
        match (self.relative_step, self.warmup_init) {
            (false, _) => rate,
            (true, false) => rate * time.sqrt().recip().min(1e-2),
            (true, true) => rate * time.sqrt().recip().min(1e-6 * time),
        }
    }
}

struct Adafactor {
    config: AdafactorConfig,
    slots: Slots<Moments>,
}

#[derive(RecordState)]
struct Moments {
    /// Steps taken.
    time: usize,
    /// `[rows, 1]`, running mean of the squares of each row.
    rows: Tensor<2>,
    /// `[1, columns]`, of each column.
    columns: Tensor<2>,
}

impl Optimizer for Adafactor {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        self.slots.check(params)?;
        let config = &self.config;
        for (key, param, grad) in pair(params, grads)? {
            let squares = grad.clone().square() + config.eps[0];
            let rows = squares.clone().mean_dim(1);
            let columns = squares.mean_dim(0);
            let moments = match self.slots.take(key) {
                None => Moments {
                    time: 1,
                    rows,
                    columns,
                },
                Some(old) => {
                    let time = old.time + 1;
                    let new = (time as f64).powf(config.decay_rate);
                    let mean = |old: Tensor<2>, of: Tensor<2>| old * (1.0 - new) + of * new;
                    Moments {
                        time,
                        rows: mean(old.rows, rows),
                        columns: mean(old.columns, columns),
                    }
                }
            };
            let of_row = moments.rows.clone() / moments.rows.clone().mean_dim(0);
            let update = grad / of_row.sqrt() / moments.columns.clone().sqrt();
            let too_long = (size(update.clone()) / config.clip_threshold).clamp_min(1.0);
            let step_size = config.step_size(moments.time, rates.at(key));
            let scale = config
                .scale_parameter
                .then(|| size(param.clone()).clamp_min(config.eps[1]));
            let scaled = |number: Tensor<2>| match &scale {
                Some(scale) => number * scale.clone(),
                None => number,
            };
            let step = scaled(too_long.recip() * step_size);
            let mut moved = param.clone();
            if config.weight_decay > 0.0 {
                let decay = scaled(step.ones_like() * (step_size * config.weight_decay));
                moved = moved.clone() - moved * decay;
            }
            *param = moved - update * step;
            self.slots.put(key, param.dims(), moments);
        }
        Ok(())
    }

    fn state(&self) -> State {
        self.slots.state()
    }

    fn restore(&mut self, state: State, device: &Device) -> Result<(), StateError> {
        self.slots = Slots::restored(state, device)?;
        Ok(())
    }
}

/// The root of the mean square, `[1, 1]`.
fn size(matrix: Tensor<2>) -> Tensor<2> {
    matrix.square().mean().sqrt().reshape([1, 1])
}
