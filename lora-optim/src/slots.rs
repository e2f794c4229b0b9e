//! What an optimiser remembers of each matrix, by key.

use std::collections::BTreeMap;

use burn::{
    optim::{RecordState, StateSink, StateSource},
    tensor::{Device, Tensor, TensorData},
};

use crate::{Matrices, OptimizerError, Scalar, State, StateError, block_codes::BlockCodes};

/// The name, behind the key, under which a parameter's own shape is saved: `[rows, columns]`.
///
/// It also lists the keys of a saved state. Burn's values are Rust field paths, which never hold a dash.
pub(crate) const SHAPE: &str = "parameter-shape";

/// One `S` for each matrix that has been seen.
///
/// `S` is a struct with burn's `#[derive(RecordState)]`: its fields are saved as `{key}/{field}`.
pub(crate) struct Slots<S> {
    by_key: BTreeMap<String, Slot<S>>,
}

/// What is remembered of one matrix.
struct Slot<S> {
    shape: [usize; 2],
    state: S,
}

impl<S> Slots<S> {
    /// Nothing seen yet.
    pub(crate) fn new() -> Self {
        Self {
            by_key: BTreeMap::new(),
        }
    }

    /// Whether the slots are those of matrices with these shapes; to be called before anything moves.
    pub(crate) fn check(&self, params: &Matrices) -> Result<(), OptimizerError> {
        for (key, slot) in &self.by_key {
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

    /// Takes the state of `key` out. Moved out, its tensors have one handle only, so that burn can reuse their memory.
    pub(crate) fn take(&mut self, key: &str) -> Option<S> {
        self.by_key.remove(key).map(|slot| slot.state)
    }

    /// Puts the state of `key` in, whose matrix has this shape.
    pub(crate) fn put(&mut self, key: &str, shape: [usize; 2], state: S) {
        self.by_key.insert(key.to_owned(), Slot { shape, state });
    }

    /// The state of `key`.
    pub(crate) fn get(&self, key: &str) -> Option<&S> {
        self.by_key.get(key).map(|slot| &slot.state)
    }

    /// All keys seen so far.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(String::as_str)
    }
}

impl<S: RecordState> Slots<S> {
    /// Everything, read back to the host.
    pub(crate) fn state(&self) -> State {
        let mut state = State::default();
        for (key, slot) in &self.by_key {
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

    /// The slots that [`state`](Self::state) saved, placed on `device`.
    pub(crate) fn restored(state: State, device: &Device) -> Result<Self, StateError> {
        let mut by_key = BTreeMap::new();
        for (key, leaves) in Leaves::by_key(state)? {
            let Some(slot) = leaves.restored(device) else {
                return Err(StateError::Foreign { name: key });
            };
            by_key.insert(key, slot);
        }
        Ok(Self { by_key })
    }
}

/// The saved values of one matrix.
#[derive(Default, PartialEq)]
struct Leaves {
    tensors: BTreeMap<String, TensorData>,
    scalars: BTreeMap<String, Scalar>,
}

impl Leaves {
    fn of<S: RecordState>(slot: &Slot<S>) -> Self {
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
    fn restored<S: RecordState>(&self, device: &Device) -> Option<Slot<S>> {
        let shape = self.tensors.get(SHAPE)?.as_slice::<i64>().ok()?;
        let [rows, columns] = <[i64; 2]>::try_from(shape).ok()?;
        let shape = [rows.try_into().ok()?, columns.try_into().ok()?];
        let mut values = self.tensors.iter().filter(|(leaf, _)| *leaf != SHAPE);
        if !values.all(|(_, data)| fits(data.shape().as_slice(), shape)) {
            return None;
        }
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

/// Whether a value of that shape can belong to a matrix of this one: an element, row, column or block each has its own, or
/// there is one for all.
fn fits(value: &[usize], [rows, columns]: [usize; 2]) -> bool {
    let [first, second] = *value else {
        return false;
    };
    let spread = [1, rows].contains(&first) && [1, columns].contains(&second);
    let blocks = rows
        .checked_mul(columns)
        .is_some_and(|length| BlockCodes::shapes(length).contains(&[first, second]));
    spread || blocks
}

fn split(name: &str) -> Result<(String, String), StateError> {
    let (key, leaf) = name.rsplit_once('/').ok_or_else(|| StateError::Foreign {
        name: name.to_owned(),
    })?;
    Ok((key.to_owned(), leaf.to_owned()))
}
