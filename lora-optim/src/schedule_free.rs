//! Schedule-free AdamW: an average of the way takes the place of a falling learning rate.

use burn::{
    optim::RecordState,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices, Optimizer, OptimizerError, Rates, SettingError, State, StateError, pair, setting,
    slots::Slots,
};

/// Schedule-free AdamW (Defazio et al., arXiv:2405.15682) with the defaults of the package `schedulefree`.
///
/// Gradients are taken between the fast sequence and its average; what is drawn with and saved is the average, see
/// [`Optimizer::averaged`]. Wants a constant learning rate, after a warm-up if any.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamwScheduleFreeConfig {
    /// How near the average gradients are taken, and decay of the running mean of their squares.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Part of the matrix, times the learning rate, that each step takes away.
    pub weight_decay: f64,
    /// The average weighs step `k` by this power of `k`.
    pub r: f64,
    /// The average weighs each step by this power of the largest learning rate so far.
    pub weight_lr_power: f64,
}

impl Default for AdamwScheduleFreeConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            r: 0.0,
            weight_lr_power: 2.0,
        }
    }
}

impl AdamwScheduleFreeConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let inside = |beta: f64| beta > 0.0 && beta < 1.0;
        let first = setting::require(
            inside(self.betas[0]),
            "betas",
            "above 0 and below 1",
            self.betas[0],
        );
        let problems = [
            Vec::from_iter(first),
            setting::betas(&self.betas[1..]),
            setting::positive("eps", self.eps),
            setting::not_negative("weight_decay", self.weight_decay),
            setting::not_negative("r", self.r),
            setting::not_negative("weight_lr_power", self.weight_lr_power),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            Box::new(AdamwScheduleFree {
                config: self.clone(),
                slots: Slots::new(),
            })
        })
    }
}

struct AdamwScheduleFree {
    config: AdamwScheduleFreeConfig,
    slots: Slots<Way>,
}

#[derive(RecordState)]
struct Way {
    /// Steps taken.
    time: usize,
    /// The largest learning rate so far.
    top_rate: f64,
    /// Sum of the weights of all steps in the average.
    weights: f64,
    /// The fast sequence. The matrix itself lies between it and the average, at `betas[0]` of the way.
    fast: Tensor<2>,
    second: Tensor<2>,
}

impl Optimizer for AdamwScheduleFree {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        self.slots.check(params)?;
        let config = &self.config;
        let [beta1, beta2] = config.betas;
        for (key, param, grad) in pair(params, grads)? {
            let old = self.slots.take(key).unwrap_or_else(|| Way {
                time: 0,
                top_rate: 0.0,
                weights: 0.0,
                fast: param.clone(),
                second: grad.zeros_like(),
            });
            let rate = rates.at(key);
            let time = old.time + 1;
            let top_rate = old.top_rate.max(rate);
            let weight = (time as f64).powf(config.r) * top_rate.powf(config.weight_lr_power);
            let weights = old.weights + weight;
            // No weight at all, at the foot of a warm-up, leaves the average where it is.
            let new = if weights > 0.0 { weight / weights } else { 0.0 };

            let second = old.second * beta2 + grad.clone().square() * (1.0 - beta2);
            let correction = 1.0 - beta2.powf(time as f64);
            let denominator = (second.clone() / correction).sqrt() + config.eps;
            let mut step = grad / denominator;
            if config.weight_decay > 0.0 {
                step = step + param.clone() * config.weight_decay;
            }
            // With x the average, y the matrix and z the fast sequence, y = β x + (1 - β) z before and after; x moves
            // by `new` of its way to the old z, and both by their parts of the step.
            let moved = param.clone() * (1.0 - new) + old.fast.clone() * new
                - step.clone() * (rate * (1.0 - beta1 * (1.0 - new)));
            let fast = old.fast - step * rate;
            *param = moved;
            let way = Way {
                time,
                top_rate,
                weights,
                fast,
                second,
            };
            self.slots.put(key, param.dims(), way);
        }
        Ok(())
    }

    fn averaged(&self, params: &Matrices) -> Option<Matrices> {
        let beta = self.config.betas[0];
        let of = |(key, param): (&String, &Tensor<2>)| {
            let average = match self.slots.get(key) {
                Some(way) => (param.clone() - way.fast.clone()) / beta + way.fast.clone(),
                None => param.clone(),
            };
            (key.clone(), average)
        };
        Some(params.iter().map(of).collect())
    }

    fn state(&self) -> State {
        self.slots.state()
    }

    fn restore(&mut self, state: State, device: &Device) -> Result<(), StateError> {
        self.slots = Slots::restored(state, device)?;
        Ok(())
    }
}
