//! Lion.
//!
//! Burn's subtracts its decay rates from 1 in f32, which turns the sign of an element now and then.

use burn::{
    optim::RecordState,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices, Optimizer, OptimizerError, Rates, SettingError, State, StateError, pair, setting,
    slots::Slots,
};

/// Lion (Chen et al., arXiv:2302.06675) with the defaults of the package `lion-pytorch`.
///
/// Every element moves by the learning rate, whatever its gradient's size, so that Lion wants a third to a tenth of
/// AdamW's rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LionConfig {
    /// Weight of the momentum in the direction of a step, and decay of the momentum.
    pub betas: [f64; 2],
    /// Part of the matrix, times the learning rate, that each step takes away.
    pub weight_decay: f64,
}

impl Default for LionConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.99],
            weight_decay: 0.0,
        }
    }
}

impl LionConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            setting::betas(&self.betas),
            setting::not_negative("weight_decay", self.weight_decay),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            Box::new(Lion {
                config: self.clone(),
                slots: Slots::new(),
            })
        })
    }
}

struct Lion {
    config: LionConfig,
    slots: Slots<Momentum>,
}

#[derive(RecordState)]
struct Momentum {
    mean: Tensor<2>,
}

impl Optimizer for Lion {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        self.slots.check(params)?;
        let LionConfig {
            betas,
            weight_decay,
        } = self.config;
        for (key, param, grad) in pair(params, grads)? {
            let mean = match self.slots.take(key) {
                Some(old) => old.mean,
                None => grad.zeros_like(),
            };
            let rate = rates.at(key);
            let (direction, mean) = lion_rule(mean, grad, betas);
            *param = param.clone() * (1.0 - rate * weight_decay) - direction * rate;
            self.slots.put(key, param.dims(), Momentum { mean });
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

/// The direction of a step, of elements -1, 0 and 1, and the momentum after it.
pub(crate) fn lion_rule(
    mean: Tensor<2>,
    grad: Tensor<2>,
    [beta1, beta2]: [f64; 2],
) -> (Tensor<2>, Tensor<2>) {
    let direction = (mean.clone() * beta1 + grad.clone() * (1.0 - beta1)).sign();
    (direction, mean * beta2 + grad * (1.0 - beta2))
}
