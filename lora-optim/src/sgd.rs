//! Stochastic gradient descent with momentum.
//!
//! Burn's takes the same steps, but is content with a saved state that lacks a momentum.

use burn::{
    optim::RecordState,
    tensor::{Device, Tensor},
};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices, Optimizer, OptimizerError, Rates, SettingError, State, StateError, pair, setting,
    slots::Slots,
};

/// SGD as `torch.optim.SGD` computes it, with the settings of kohya's `SGDNesterov`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SgdConfig {
    /// Decay of the sum of past gradients; 0 means none is kept.
    pub momentum: f64,
    /// Looks one step of the momentum ahead. Without momentum it changes nothing.
    pub nesterov: bool,
    /// Times the matrix, added to the gradient.
    pub weight_decay: f64,
}

impl Default for SgdConfig {
    fn default() -> Self {
        Self {
            momentum: 0.9,
            nesterov: true,
            weight_decay: 0.0,
        }
    }
}

impl SgdConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            setting::part("momentum", self.momentum),
            setting::not_negative("weight_decay", self.weight_decay),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            Box::new(Sgd {
                config: self.clone(),
                slots: Slots::new(),
            })
        })
    }
}

struct Sgd {
    config: SgdConfig,
    slots: Slots<Momentum>,
}

#[derive(RecordState)]
struct Momentum {
    /// Decaying sum of the gradients.
    sum: Tensor<2>,
}

impl Optimizer for Sgd {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        self.slots.check(params)?;
        let SgdConfig {
            momentum,
            nesterov,
            weight_decay,
        } = self.config;
        for (key, param, mut grad) in pair(params, grads)? {
            if weight_decay > 0.0 {
                grad = grad + param.clone() * weight_decay;
            }
            if momentum > 0.0 {
                let sum = match self.slots.take(key) {
                    Some(old) => old.sum * momentum + grad.clone(),
                    None => grad.clone(),
                };
                grad = if nesterov {
                    grad + sum.clone() * momentum
                } else {
                    sum.clone()
                };
                self.slots.put(key, param.dims(), Momentum { sum });
            }
            *param = param.clone() - grad * rates.at(key);
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
