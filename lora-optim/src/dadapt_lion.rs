//! D-Adaptation for Lion: the learning rate estimates itself.

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

/// D-Adapted Lion, as the package `dadaptation` has it, with its defaults.
///
/// The learning rate is a factor on the estimated one, and 1 is usual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DadaptLionConfig {
    /// Weight of the momentum in the direction of a step, and decay of the momentum.
    pub betas: [f64; 2],
    /// Part of the matrix, times the rate, that each step takes away.
    pub weight_decay: f64,
    /// The first estimate; rarely needs changing.
    pub d0: f64,
}

impl Default for DadaptLionConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.99],
            weight_decay: 0.0,
            d0: 1e-6,
        }
    }
}

impl DadaptLionConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            setting::betas(&self.betas),
            setting::not_negative("weight_decay", self.weight_decay),
            setting::positive("d0", self.d0),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            Box::new(Grouped::new(self.clone()))
        })
    }
}

/// Of one matrix.
#[derive(RecordState)]
pub(crate) struct Momentum {
    /// Running mean of the gradients times the step sizes.
    mean: Tensor<2>,
    /// Decaying sum of the directions times the step sizes.
    way: Tensor<2>,
}

/// Of one group.
#[derive(RecordState)]
pub(crate) struct Estimate {
    d: Tensor<2>,
    numerator: Tensor<2>,
}

impl GroupRule for DadaptLionConfig {
    type Matrix = Momentum;
    type Group = Estimate;

    fn group_step(
        &self,
        memory: &mut RateGroups<Momentum, Estimate>,
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
            d: number(config.d0, device),
            numerator: number(0.0, device),
        });
        let step = old.d.clone() * rate;

        // Once for the group, not for each matrix.
        let new_way = step.clone() * (1.0 - decay);
        let new_mean = step.clone() * (1.0 - beta2);
        let weight_decay = step.clone() * config.weight_decay;
        let (mut products, mut lengths) = (Vec::new(), Vec::new());
        for (key, param) in members {
            let Some(grad) = grads.remove(key) else {
                continue;
            };
            let old = memory.matrices.take(key).unwrap_or_else(|| Momentum {
                mean: grad.zeros_like(),
                way: grad.zeros_like(),
            });
            let direction = (old.mean.clone() * beta1 + grad.clone() * (1.0 - beta1)).sign();
            let mut moved = param.clone();
            if config.weight_decay != 0.0 {
                moved = moved.clone() - moved * weight_decay.clone();
            }
            *param = moved - direction.clone() * step.clone();
            products.push((direction.clone() * old.way.clone()).sum());
            let way = old.way * decay + direction * new_way.clone();
            lengths.push(way.clone().abs().sum());
            let momentum = Momentum {
                mean: old.mean * beta2 + grad * new_mean.clone(),
                way,
            };
            memory.matrices.put(key, param.dims(), momentum);
        }

        let numerator = old.numerator * decay + step * total(products) * (1.0 - decay);
        let estimate = quotient(
            numerator.clone(),
            total(lengths) * (1.0 - decay),
            old.d.clone(),
        );
        let d = grown(old.d, estimate, None);
        let estimate = Estimate { d, numerator };
        memory.groups.put(name, [1, 1], estimate);
    }
}
