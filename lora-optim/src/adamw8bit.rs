//! AdamW with moments in eight bits, as bitsandbytes' `AdamW8bit`.

use burn::{optim::RecordState, tensor::Device};
use serde::{Deserialize, Serialize};

use crate::{
    Matrices, Optimizer, OptimizerError, Rates, SettingError, State, StateError,
    block_codes::MapKept, moment::Moment, pair, setting, slots::Slots,
};

/// AdamW whose moments take two bytes for each element instead of eight, with bitsandbytes' defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adamw8bitConfig {
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Part of the matrix, times the learning rate, that each step takes away.
    pub weight_decay: f64,
    /// Matrices with fewer elements keep their moments in 32 bits.
    pub min_8bit_size: usize,
}

impl Default for Adamw8bitConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 1e-2,
            min_8bit_size: 4096,
        }
    }
}

impl Adamw8bitConfig {
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            setting::betas(&self.betas),
            setting::not_negative("eps", self.eps),
            setting::not_negative("weight_decay", self.weight_decay),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            Box::new(Adamw8bit {
                config: self.clone(),
                slots: Slots::new(),
                signed: MapKept::signed(),
                unsigned: MapKept::unsigned(),
            })
        })
    }
}

struct Adamw8bit {
    config: Adamw8bitConfig,
    slots: Slots<Moments>,
    signed: MapKept,
    unsigned: MapKept,
}

#[derive(RecordState)]
struct Moments {
    /// Steps taken.
    time: usize,
    first: Moment,
    second: Moment,
}

impl Optimizer for Adamw8bit {
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
        let signed = self.signed.on(&any.device());
        let unsigned = self.unsigned.on(&any.device());
        let Adamw8bitConfig {
            betas: [beta1, beta2],
            eps,
            weight_decay,
            min_8bit_size,
        } = self.config;
        for (key, param, grad) in pairs {
            let (rate, shape) = (rates.at(key), param.dims());
            let (time, first, second) = match self.slots.take(key) {
                Some(old) => (
                    old.time + 1,
                    old.first.read(shape, &signed),
                    old.second.read(shape, &unsigned),
                ),
                None => (1, grad.zeros_like(), grad.zeros_like()),
            };
            // In the order of the reference, so that roundings, and with them codes, come out the same.
            let first = first * beta1 + grad.clone() * (1.0 - beta1);
            let second = second * beta2 + (grad.clone() * (1.0 - beta2)) * grad;
            let correction1 = 1.0 - beta1.powf(time as f64);
            let correction2 = (1.0 - beta2.powf(time as f64)).sqrt();
            let denominator = second.clone().sqrt() / correction2 + eps;
            *param = param.clone() * (1.0 - rate * weight_decay)
                - first.clone() * (rate / correction1) / denominator;
            let moments = Moments {
                time,
                first: Moment::keep(first, &signed, min_8bit_size),
                second: Moment::keep(second, &unsigned, min_8bit_size),
            };
            self.slots.put(key, shape, moments);
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
