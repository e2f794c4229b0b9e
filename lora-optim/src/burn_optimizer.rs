//! The door through which burn's optimisers come in.

use burn::{optim::Optimizer as PerTensor, tensor::Device};

use crate::{Matrices, Optimizer, OptimizerError, Rates, State, StateError, pair, slots::Slots};

/// Runs any of burn's per-tensor optimisers (`burn::optim::AdamWConfig::build` and its like) on named matrices.
///
/// A burn optimiser's config may also ask for gradient clipping; that part is not applied here, see
/// [`clip_global_norm`](crate::clip_global_norm).
pub struct BurnOptimizer<O: PerTensor> {
    rule: O,
    slots: Slots<O::State<2>>,
}

impl<O: PerTensor> BurnOptimizer<O> {
    /// Fresh, with no matrix seen yet.
    pub fn new(rule: O) -> Self {
        Self {
            rule,
            slots: Slots::new(),
        }
    }
}

impl<O: PerTensor> Optimizer for BurnOptimizer<O> {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        self.slots.check(params)?;
        for (key, param, grad) in pair(params, grads)? {
            let old = self.slots.take(key);
            let (moved, state) = self.rule.step(rates.at(key), param.clone(), grad, old);
            *param = moved;
            if let Some(state) = state {
                self.slots.put(key, param.dims(), state);
            }
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
