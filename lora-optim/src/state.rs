//! What an optimiser remembers between steps, on the host.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{Matrices, Scalar};

/// The whole state of an optimiser: named tensors and scalars.
///
/// What belongs to the matrix `key` is named `{key}/{name}`. [`to_bytes`](Self::to_bytes) makes it a safetensors file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Values of rank 1 and above.
    pub tensors: BTreeMap<String, TensorData>,
    /// Counters and single numbers.
    pub scalars: BTreeMap<String, Scalar>,
}

/// Why a state cannot be written, read or continued from.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The bytes are no safetensors file, or cannot become one.
    #[error("the optimiser's state is not well-formed safetensors")]
    Safetensors(#[from] safetensors::SafeTensorError),
    /// A safetensors file of something else, or of another version.
    #[error("expected an optimiser's state of the format `{expected}`, found {found:?}")]
    Format {
        /// The format this version writes.
        expected: &'static str,
        /// The format the file claims, if any.
        found: Option<String>,
    },
    /// The tensor's element type has no place in the file format.
    #[error("`{name}` has the element type {dtype}, which a saved state cannot hold")]
    Dtype {
        /// The value's name.
        name: String,
        /// Its element type.
        dtype: String,
    },
    /// A tensor of the wrong rank.
    #[error("`{name}` must be {expected}, found the shape {found:?}")]
    Rank {
        /// The value's name.
        name: String,
        /// The rank it must have, in words.
        expected: &'static str,
        /// Its shape.
        found: Vec<usize>,
    },
    /// Values are missing, misshapen or left over: the state is another optimiser's, or one with other settings.
    #[error(
        "the saved state is not this optimiser's: `{name}` is missing, misshapen or has no use here"
    )]
    Foreign {
        /// The first such value, or the matrix it belongs to.
        name: String,
    },
}

impl State {
    /// Adds one tensor per matrix, named `{key}/{name}`, reading each back from the device.
    pub fn with_matrices(mut self, name: &str, matrices: &Matrices) -> Self {
        self.tensors.extend(
            matrices
                .iter()
                .map(|(key, matrix)| (format!("{key}/{name}"), matrix.to_data())),
        );
        self
    }

    /// Takes out what [`with_matrices`](Self::with_matrices) added under `name`.
    ///
    /// # Errors
    /// When one of them is no matrix.
    pub fn take_matrices(&mut self, name: &str, device: &Device) -> Result<Matrices, StateError> {
        let suffix = format!("/{name}");
        let taken = self
            .tensors
            .extract_if(.., |full_name, _| full_name.ends_with(&suffix));
        taken
            .map(|(full_name, data)| match data.rank() {
                2 => {
                    let key = full_name[..full_name.len() - suffix.len()].to_owned();
                    Ok((key, Tensor::from_data(data, device)))
                }
                _ => Err(StateError::Rank {
                    name: full_name,
                    expected: "a matrix",
                    found: data.shape().to_vec(),
                }),
            })
            .collect()
    }

    /// To be called when all known values have been taken out.
    ///
    /// # Errors
    /// When some are left, which means that another optimiser has saved this state.
    pub fn finish(self) -> Result<(), StateError> {
        match self
            .tensors
            .into_keys()
            .chain(self.scalars.into_keys())
            .next()
        {
            Some(name) => Err(StateError::Foreign { name }),
            None => Ok(()),
        }
    }
}
