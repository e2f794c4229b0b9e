//! Prodigy: Adam whose learning rate estimates itself, faster than D-Adaptation does.

use burn::{
    optim::RecordState,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices, Optimizer, SettingError,
    distance::{number, quotient, total},
    rate_groups::{GroupRule, Grouped, Members, RateGroups},
    setting,
};

/// Prodigy (Mishchenko and Defazio, arXiv:2306.06101) with the defaults of the package `prodigyopt`.
///
/// The learning rate is a factor on the estimated one, and 1 is usual. Four matrices are kept for each that is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProdigyConfig {
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Decay of the sums that the estimate is made of; the root of the second of `betas` if unset.
    pub beta3: Option<f64>,
    /// Times the estimate, added to the root of the second moment.
    pub eps: f64,
    /// Times the rate, taken from the matrix; without `decouple`, times the matrix, added to the gradient.
    pub weight_decay: f64,
    /// Weight decay as in AdamW.
    pub decouple: bool,
    /// Adam's correction of the first steps.
    pub use_bias_correction: bool,
    /// Leaves the learning rate out of the estimate's denominator, which a warm-up would distort.
    pub safeguard_warmup: bool,
    /// The first estimate; rarely needs changing.
    pub d0: f64,
    /// Factor on the estimate; the first thing to turn, from 0.5 to 2.
    pub d_coef: f64,
    /// How many times the estimate may grow in one step; no limit if unset.
    pub growth_rate: Option<f64>,
}

impl Default for ProdigyConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            beta3: None,
            eps: 1e-8,
            weight_decay: 0.0,
            decouple: true,
            use_bias_correction: false,
            safeguard_warmup: false,
            d0: 1e-6,
            d_coef: 1.0,
            growth_rate: None,
        }
    }
}

impl ProdigyConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            setting::betas(&self.betas),
            self.beta3
                .map_or(Vec::new(), |beta3| setting::part("beta3", beta3)),
            setting::positive("eps", self.eps),
            setting::not_negative("weight_decay", self.weight_decay),
            setting::positive("d0", self.d0),
            setting::positive("d_coef", self.d_coef),
            setting::growth("growth_rate", self.growth_rate),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            Box::new(Grouped::new(self.clone()))
        })
    }
}

/// Of one matrix.
#[derive(RecordState)]
pub(crate) struct Moments {
    /// Running mean of the gradients times the estimates.
    first: Tensor<2>,
    /// Running mean of the squares of the same.
    second: Tensor<2>,
    /// Decaying sum of the gradients times the step sizes, in units of `d0`.
    way: Tensor<2>,
    start: Tensor<2>,
}

/// Of one group.
#[derive(RecordState)]
pub(crate) struct Estimate {
    /// Steps taken.
    time: usize,
    d: Tensor<2>,
    /// The largest estimate so far, which `growth_rate` may keep `d` from.
    d_max: Tensor<2>,
    numerator: Tensor<2>,
}

impl Estimate {
    fn first(d0: f64, device: &Device) -> Self {
        Self {
            time: 0,
            d: number(d0, device),
            d_max: number(d0, device),
            numerator: number(0.0, device),
        }
    }

    /// The estimate after a step that left these sums.
    fn next(self, numerator: Tensor<2>, denominator: Tensor<2>, config: &ProdigyConfig) -> Self {
        let found = quotient(
            numerator.clone() * config.d_coef,
            denominator,
            self.d.clone(),
        );
        // The first estimate replaces the guess at once.
        let guess = self.d.clone().equal_elem(config.d0 as f32);
        let risen = self.d.clone().max_pair(found.clone());
        let d = self.d.mask_where(guess, risen);
        let d_max = self.d_max.max_pair(found);
        let d = match config.growth_rate {
            Some(growth) => d_max.clone().min_pair(d * growth),
            None => d_max.clone(),
        };
        Self {
            time: self.time + 1,
            d,
            d_max,
            numerator,
        }
    }
}

impl GroupRule for ProdigyConfig {
    type Matrix = Moments;
    type Group = Estimate;

    fn group_step(
        &self,
        memory: &mut RateGroups<Moments, Estimate>,
        name: &str,
        rate: f64,
        members: Members<'_>,
        grads: &mut Matrices,
        device: &Device,
    ) {
        let config = self;
        let [beta1, beta2] = config.betas;
        let beta3 = config.beta3.unwrap_or(beta2.sqrt());
        let old = memory.groups.take(name);
        let old = old.unwrap_or_else(|| Estimate::first(config.d0, device));
        let correction = if config.use_bias_correction {
            let time = (old.time + 1) as f64;
            (1.0 - beta2.powf(time)).sqrt() / (1.0 - beta1.powf(time))
        } else {
            1.0
        };
        let d = old.d.clone();
        let step = d.clone() * (rate * correction);
        let unit = d.clone() / config.d0;
        let weight = unit.clone()
            * if config.safeguard_warmup {
                d.clone()
            } else {
                step.clone()
            };

        // Once for the group, not for each matrix.
        let new_first = d.clone() * (1.0 - beta1);
        let new_second = d.clone() * d * (1.0 - beta2);
        let (mut products, mut lengths) = (Vec::new(), Vec::new());
        for (key, param) in &members {
            let Some(mut grad) = grads.remove(*key) else {
                continue;
            };
            let param: &Tensor<2> = param;
            if config.weight_decay != 0.0 && !config.decouple {
                grad = grad + param.clone() * config.weight_decay;
            }
            let old = memory.matrices.take(key).unwrap_or_else(|| Moments {
                first: grad.zeros_like(),
                second: grad.zeros_like(),
                way: grad.zeros_like(),
                start: param.clone(),
            });
            products.push((grad.clone() * (old.start.clone() - param.clone())).sum());
            let way = old.way * beta3 + grad.clone() * weight.clone();
            lengths.push(way.clone().abs().sum());
            let moments = Moments {
                first: old.first * beta1 + grad.clone() * new_first.clone(),
                second: old.second * beta2 + grad.square() * new_second.clone(),
                way,
                start: old.start,
            };
            memory.matrices.put(key, param.dims(), moments);
        }

        let gained = unit * step.clone() * total(products);
        let numerator = old.numerator.clone() * beta3 + gained;
        let estimate = old.next(numerator, total(lengths), config);

        let (eps, decay) = (
            estimate.d.clone() * config.eps,
            step.clone() * config.weight_decay,
        );
        for (key, param) in members {
            let Some(moments) = memory.matrices.get(key) else {
                continue;
            };
            let mut moved = param.clone();
            if config.weight_decay != 0.0 && config.decouple {
                moved = moved.clone() - moved * decay.clone();
            }
            let denominator = moments.second.clone().sqrt() + eps.clone();
            *param = moved - moments.first.clone() / denominator * step.clone();
        }
        memory.groups.put(name, [1, 1], estimate);
    }
}
