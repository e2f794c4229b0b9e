//! D-Adaptation for Adam: the learning rate estimates itself.

use burn::{
    optim::RecordState,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices, Optimizer, SettingError,
    distance::{grown, number, quotient, total},
    rate_groups::{GroupRule, Grouped, Members, RateGroups},
    setting,
};

/// D-Adapted Adam (Defazio and Mishchenko, arXiv:2301.07733) with the defaults of the package `dadaptation`.
///
/// The learning rate is a factor on the estimated one, and 1 is usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DadaptAdamConfig {
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Times the matrix, added to the gradient; with `decouple`, times the rate, taken from the matrix.
    pub weight_decay: f64,
    /// Weight decay as in AdamW.
    pub decouple: bool,
    /// Adam's correction of the first steps.
    pub use_bias_correction: bool,
    /// The first estimate; rarely needs changing.
    pub d0: f64,
    /// How many times the estimate may grow in one step; no limit if unset.
    pub growth_rate: Option<f64>,
}

impl Default for DadaptAdamConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            decouple: false,
            use_bias_correction: false,
            d0: 1e-6,
            growth_rate: None,
        }
    }
}

impl DadaptAdamConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            setting::betas(&self.betas),
            setting::positive("eps", self.eps),
            setting::not_negative("weight_decay", self.weight_decay),
            setting::positive("d0", self.d0),
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
    /// Running mean of the gradients times the step sizes.
    first: Tensor<2>,
    second: Tensor<2>,
    /// Running sum of the gradients times the step sizes: the way from the start, before preconditioning.
    way: Tensor<2>,
}

/// Of one group.
#[derive(RecordState)]
pub(crate) struct Estimate {
    /// Steps taken.
    time: usize,
    d: Tensor<2>,
    numerator: Tensor<2>,
}

impl GroupRule for DadaptAdamConfig {
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
        let decay = beta2.sqrt();
        let old = memory.groups.take(name).unwrap_or_else(|| Estimate {
            time: 0,
            d: number(config.d0, device),
            numerator: number(0.0, device),
        });
        let time = old.time + 1;
        let correction = if config.use_bias_correction {
            (1.0 - beta2.powf(time as f64)).sqrt() / (1.0 - beta1.powf(time as f64))
        } else {
            1.0
        };
        let step = old.d.clone() * (rate * correction);

        // Once for the group, not for each matrix.
        let new_way = step.clone() * (1.0 - decay);
        let new_first = step.clone() * (1.0 - beta1);
        let weight_decay = step.clone() * config.weight_decay;
        let (mut products, mut lengths) = (Vec::new(), Vec::new());
        for (key, param) in &members {
            let Some(mut grad) = grads.remove(*key) else {
                continue;
            };
            if config.weight_decay != 0.0 && !config.decouple {
                grad = grad + (*param).clone() * config.weight_decay;
            }
            let old = memory.matrices.take(key).unwrap_or_else(|| Moments {
                first: grad.zeros_like(),
                second: grad.zeros_like(),
                way: grad.zeros_like(),
            });
            let preconditioned = old.way.clone() / (old.second.clone().sqrt() + config.eps);
            products.push((grad.clone() * preconditioned).sum());
            let way = old.way * decay + grad.clone() * new_way.clone();
            lengths.push(way.clone().abs().sum());
            let moments = Moments {
                first: old.first * beta1 + grad.clone() * new_first.clone(),
                second: old.second * beta2 + grad.square() * (1.0 - beta2),
                way,
            };
            memory.matrices.put(key, param.dims(), moments);
        }

        let numerator = old.numerator * decay + step.clone() * total(products) * (1.0 - decay);
        let estimate = quotient(
            numerator.clone(),
            total(lengths) * (1.0 - decay),
            old.d.clone(),
        );
        let d = grown(old.d, estimate, config.growth_rate);

        for (key, param) in members {
            let Some(moments) = memory.matrices.get(key) else {
                continue;
            };
            let mut moved = param.clone();
            if config.weight_decay != 0.0 && config.decouple {
                moved = moved.clone() - moved * weight_decay.clone();
            }
            *param = moved - moments.first.clone() / (moments.second.clone().sqrt() + config.eps);
        }
        let estimate = Estimate { time, d, numerator };
        memory.groups.put(name, [1, 1], estimate);
    }
}
