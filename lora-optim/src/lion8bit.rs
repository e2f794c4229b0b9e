//! Lion with its momentum in eight bits, as bitsandbytes' `Lion8bit`.

use burn::{optim::RecordState, tensor::Device};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices, Optimizer, OptimizerError, Rates, SettingError, State, StateError,
    block_codes::MapKept, lion::lion_rule, moment::Moment, pair, setting, slots::Slots,
};

/// Lion whose momentum takes one byte for each element instead of four, with bitsandbytes' defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion8bitConfig {
    /// Weight of the momentum in the direction of a step, and decay of the momentum.
    pub betas: [f64; 2],
    /// Part of the matrix, times the learning rate, that each step takes away.
    pub weight_decay: f64,
    /// Matrices with fewer elements keep their momentum in 32 bits.
    pub min_8bit_size: usize,
}

impl Default for Lion8bitConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.99],
            weight_decay: 0.0,
            min_8bit_size: 4096,
        }
    }
}

impl Lion8bitConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            setting::betas(&self.betas),
            setting::not_negative("weight_decay", self.weight_decay),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            Box::new(Lion8bit {
                config: self.clone(),
                slots: Slots::new(),
                map: MapKept::signed(),
            })
        })
    }
}

struct Lion8bit {
    config: Lion8bitConfig,
    slots: Slots<Momentum>,
    map: MapKept,
}

#[derive(RecordState)]
struct Momentum {
    mean: Moment,
}

impl Optimizer for Lion8bit {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        self.slots.check(params)?;
        let pairs = pair(params, grads)?;
        let Some((_, any, _)) = pairs.first() else {
            return Ok(());
        };
        let map = self.map.on(&any.device());
        let Lion8bitConfig {
            betas,
            weight_decay,
            min_8bit_size,
        } = self.config;
        for (key, param, grad) in pairs {
            let (rate, shape) = (rates.at(key), param.dims());
            let mean = match self.slots.take(key) {
                Some(old) => old.mean.read(shape, &map),
                None => grad.zeros_like(),
            };
            let (direction, mean) = lion_rule(mean, grad, betas);
            *param = param.clone() * (1.0 - rate * weight_decay) - direction * rate;
            let mean = Moment::keep(mean, &map, min_8bit_size);
            self.slots.put(key, shape, Momentum { mean });
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
