//! The door through which burn's optimisers come in.

use std::collections::BTreeMap;

use burn::{
    optim::{Optimizer as PerTensor, RecordState, StateSink, StateSource},
    tensor::{Device, Tensor, TensorData},
};

use crate::{Matrices, Optimizer, OptimizerError, Rates, Scalar, State, StateError, pair};

/// The name, behind the key, under which a parameter's own shape is saved: `[rows, columns]`.
///
/// It also lists the keys of a saved state. Burn's values are Rust field paths, which never hold a dash.
const SHAPE: &str = "parameter-shape";

/// Runs any of burn's per-tensor optimisers (`burn::optim::AdamWConfig::build` and its like) on named matrices.
///
/// A burn optimiser's config may also ask for gradient clipping; that part is not applied here, see
/// [`clip_global_norm`](crate::clip_global_norm).
pub struct BurnOptimizer<O: PerTensor> {
    rule: O,
    slots: BTreeMap<String, Slot<O>>,
}

/// What burn's optimiser remembers of one matrix.
struct Slot<O: PerTensor> {
    shape: [usize; 2],
    state: O::State<2>,
}

impl<O: PerTensor> BurnOptimizer<O> {
    /// Fresh, with no matrix seen yet.
    pub fn new(rule: O) -> Self {
        Self {
            rule,
            slots: BTreeMap::new(),
        }
    }

    fn check_shapes(&self, params: &Matrices) -> Result<(), OptimizerError> {
        for (key, slot) in &self.slots {
            let Some(parameter) = params.get(key).map(Tensor::dims) else {
                continue;
            };
            if parameter != slot.shape {
                return Err(OptimizerError::StateShape {
                    key: key.clone(),
                    parameter,
                    state: slot.shape,
                });
            }
        }
        Ok(())
    }
}

impl<O: PerTensor> Optimizer for BurnOptimizer<O> {
    fn step(
        &mut self,
        params: &mut Matrices,
        mut grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        self.check_shapes(params)?;
        for (key, param) in pair(params, &grads)? {
            let Some(grad) = grads.remove(key) else {
                continue;
            };
            // Moving the state out leaves burn its only handle, so that it can update the moments in place.
            let old = self.slots.remove(key).map(|slot| slot.state);
            let (moved, state) = self.rule.step(rates.at(key), param.clone(), grad, old);
            *param = moved;
            if let Some(state) = state {
                let shape = param.dims();
                self.slots.insert(key.to_owned(), Slot { shape, state });
            }
        }
        Ok(())
    }

    fn state(&self) -> State {
        let mut state = State::default();
        for (key, slot) in &self.slots {
            let leaves = Leaves::of(slot);
            for (leaf, data) in leaves.tensors {
                state.tensors.insert(format!("{key}/{leaf}"), data);
            }
            for (leaf, scalar) in leaves.scalars {
                state.scalars.insert(format!("{key}/{leaf}"), scalar);
            }
        }
        state
    }

    fn restore(&mut self, state: State, device: &Device) -> Result<(), StateError> {
        let mut slots = BTreeMap::new();
        for (key, leaves) in Leaves::by_key(state)? {
            let Some(slot) = leaves.restored(device) else {
                return Err(StateError::Foreign { name: key });
            };
            slots.insert(key, slot);
        }
        self.slots = slots;
        Ok(())
    }
}

/// The saved values of one matrix.
#[derive(Default, PartialEq)]
struct Leaves {
    tensors: BTreeMap<String, TensorData>,
    scalars: BTreeMap<String, Scalar>,
}

impl Leaves {
    fn of<O: PerTensor>(slot: &Slot<O>) -> Self {
        let mut sink = StateSink::default();
        slot.state.state_flatten("", &mut sink);
        let shape = TensorData::from(slot.shape.map(|size| size as i64));
        let tensors = sink.tensors.into_iter().chain([(SHAPE.to_owned(), shape)]);
        Self {
            tensors: tensors.collect(),
            scalars: sink.scalars.into_iter().collect(),
        }
    }

    /// Sorts a state by the matrices that its values belong to.
    fn by_key(state: State) -> Result<BTreeMap<String, Self>, StateError> {
        let mut by_key = BTreeMap::<String, Self>::new();
        for (name, data) in state.tensors {
            let (key, leaf) = split(&name)?;
            by_key.entry(key).or_default().tensors.insert(leaf, data);
        }
        for (name, scalar) in state.scalars {
            let (key, leaf) = split(&name)?;
            by_key.entry(key).or_default().scalars.insert(leaf, scalar);
        }
        Ok(by_key)
    }

    /// The slot on the device, if it holds these values, all of them and no others.
    fn restored<O: PerTensor>(&self, device: &Device) -> Option<Slot<O>> {
        let shape = self.tensors.get(SHAPE)?.as_slice::<i64>().ok()?;
        let shape = <[i64; 2]>::try_from(shape).ok()?.map(|size| size as usize);
        let mut source = StateSource::new(self.scalars.clone());
        for (leaf, data) in &self.tensors {
            source.insert_tensor(leaf.clone(), data.clone());
        }
        let slot = Slot {
            shape,
            state: RecordState::state_unflatten("", &mut source, device)?,
        };
        // Burn passes over values that it does not know, so what came out is compared with what went in.
        (Self::of(&slot) == *self).then_some(slot)
    }
}

fn split(name: &str) -> Result<(String, String), StateError> {
    let (key, leaf) = name.rsplit_once('/').ok_or_else(|| StateError::Foreign {
        name: name.to_owned(),
    })?;
    Ok((key.to_owned(), leaf.to_owned()))
}
