//! Everything that a run needs to go on as if it had never stopped.
//!
//! Noise, captions, views and order of the showings are pure functions of seed, epoch and step, so what is kept is what
//! has been learnt and where the run stands: matrices, the optimiser's state, the average's, and a [`Record`].

mod differences;
mod files;
mod record;
mod sources;

use lora_core::Matrices;
use lora_optim::{State, StateError};

pub use differences::Difference;
pub use files::{Resume, ResumeError};
pub(crate) use files::{find, later_than, prune, remove_others, write};
pub(crate) use record::{MeterRecord, Record, Standing};
pub(crate) use sources::Sources;

/// One checkpoint, in host memory.
#[derive(Debug, PartialEq)]
pub(crate) struct Checkpoint {
    pub(crate) record: Record,
    /// The trained matrices, as [`State::with_matrices`] has them.
    pub(crate) params: State,
    pub(crate) optimizer: State,
    /// The average's state, where the run keeps one.
    pub(crate) ema: Option<State>,
}

/// What the names of saved values begin with.
const PARAMS: &str = "params:";
const OPTIMIZER: &str = "optimizer:";
const EMA: &str = "ema:";
/// The record, as the bytes of a TOML text.
const RECORD: &str = "record";
/// SHA-256 of all other values with their names.
const CHECKSUM: &str = "sha256";

/// The name under which a state has each matrix.
pub(crate) const MATRIX: &str = "matrix";

impl Checkpoint {
    /// The matrices as a state.
    pub(crate) fn params_of(matrices: &Matrices) -> State {
        State::default().with_matrices(MATRIX, matrices)
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// As [`State::to_bytes`].
    pub(crate) fn into_bytes(self) -> Result<Vec<u8>, StateError> {
        self.into_state().to_bytes()
    }

    fn into_state(self) -> State {
        let mut state = State::default();
        let parts = [
            (PARAMS, Some(self.params)),
            (OPTIMIZER, Some(self.optimizer)),
            (EMA, self.ema),
        ];
        for (prefix, part) in parts {
            let part = part.unwrap_or_default();
            let named = |name: String| format!("{prefix}{name}");
            let tensors = part.tensors.into_iter();
            state
                .tensors
                .extend(tensors.map(|(name, value)| (named(name), value)));
            let scalars = part.scalars.into_iter();
            state
                .scalars
                .extend(scalars.map(|(name, value)| (named(name), value)));
        }
        state
            .tensors
            .insert(RECORD.to_owned(), self.record.to_tensor());
        let sum = files::checksum(&state);
        state.tensors.insert(CHECKSUM.to_owned(), sum);
        state
    }

    /// # Errors
    /// What is wrong with the values, in words.
    fn from_state(mut state: State) -> Result<Self, String> {
        let sum = state.tensors.remove(CHECKSUM);
        if sum.as_ref() != Some(&files::checksum(&state)) {
            return Err("its contents do not have the checksum that it tells".to_owned());
        }
        let record = state.tensors.remove(RECORD).ok_or("it has no record")?;
        let mut part = |prefix: &str| {
            let is_of = |name: &str| name.starts_with(prefix);
            let tensors = state.tensors.extract_if(.., |name, _| is_of(name));
            let tensors = tensors.map(|(name, value)| (name[prefix.len()..].to_owned(), value));
            let tensors = tensors.collect();
            let scalars = state.scalars.extract_if(.., |name, _| is_of(name));
            let scalars = scalars.map(|(name, value)| (name[prefix.len()..].to_owned(), value));
            State {
                tensors,
                scalars: scalars.collect(),
            }
        };
        let (params, optimizer, ema) = (part(PARAMS), part(OPTIMIZER), part(EMA));
        state
            .finish()
            .map_err(|error: StateError| error.to_string())?;
        let has_ema = !ema.tensors.is_empty() || !ema.scalars.is_empty();
        Ok(Self {
            record: Record::from_tensor(&record)?,
            params,
            optimizer,
            ema: has_ema.then_some(ema),
        })
    }
}
