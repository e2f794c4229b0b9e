//! A state as the bytes of a safetensors file: tensors as they are, scalars as tensors of rank 0.

use std::{borrow::Cow, collections::HashMap};

use burn::tensor::{DType, Shape, TensorData};
use safetensors::{Dtype, SafeTensors, View, tensor::TensorView};

use crate::{Scalar, State, StateError};

/// The metadata entry `format` of every saved state; its number grows when older versions cannot read it.
const FORMAT: &str = "lora-optim-state-1";

impl State {
    /// The bytes of a safetensors file, which [`from_bytes`](Self::from_bytes) reads back bit for bit.
    ///
    /// # Errors
    /// When a tensor has rank 0, or elements that are neither floats nor integers.
    pub fn to_bytes(&self) -> Result<Vec<u8>, StateError> {
        let tensors = self
            .tensors
            .iter()
            .map(|(name, data)| Ok((name, Entry::of_tensor(name, data)?)));
        let scalars = self
            .scalars
            .iter()
            .map(|(name, scalar)| Ok((name, Entry::of_scalar(*scalar))));
        let entries = tensors
            .chain(scalars)
            .collect::<Result<Vec<_>, StateError>>()?;
        let metadata = HashMap::from([("format".to_owned(), FORMAT.to_owned())]);
        Ok(safetensors::serialize(entries, Some(metadata))?)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// When the bytes are no saved state of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StateError> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let found = header
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get("format"))
            .cloned();
        if found.as_deref() != Some(FORMAT) {
            return Err(StateError::Format {
                expected: FORMAT,
                found,
            });
        }
        let mut state = Self::default();
        for (name, view) in SafeTensors::deserialize(bytes)?.iter() {
            if view.shape().is_empty() {
                state.scalars.insert(name.to_owned(), scalar(name, &view)?);
            } else {
                state.tensors.insert(name.to_owned(), tensor(name, &view)?);
            }
        }
        Ok(state)
    }
}

/// One value as the file holds it.
struct Entry<'a> {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Cow<'a, [u8]>,
}

impl<'a> Entry<'a> {
    fn of_tensor(name: &str, data: &'a TensorData) -> Result<Self, StateError> {
        let shape = data.shape().to_vec();
        if shape.is_empty() {
            return Err(StateError::Rank {
                name: name.to_owned(),
                expected: "of rank 1 or above",
                found: shape,
            });
        }
        let dtype = DTYPES
            .iter()
            .find(|(in_memory, _)| *in_memory == data.dtype());
        let (_, dtype) = dtype.ok_or_else(|| unstorable(name, data.dtype()))?;
        Ok(Self {
            dtype: *dtype,
            shape,
            bytes: Cow::Borrowed(data.as_bytes()),
        })
    }

    fn of_scalar(scalar: Scalar) -> Self {
        let (dtype, bytes) = match scalar {
            Scalar::Int(value) => (Dtype::I64, value.to_le_bytes().to_vec()),
            Scalar::UInt(value) => (Dtype::U64, value.to_le_bytes().to_vec()),
            Scalar::Float(value) => (Dtype::F64, value.to_le_bytes().to_vec()),
            Scalar::Bool(value) => (Dtype::BOOL, vec![u8::from(value)]),
        };
        Self {
            dtype,
            shape: Vec::new(),
            bytes: Cow::Owned(bytes),
        }
    }
}

impl View for Entry<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }

    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

fn scalar(name: &str, view: &TensorView<'_>) -> Result<Scalar, StateError> {
    let eight = || <[u8; 8]>::try_from(view.data()).map_err(|_| unstorable(name, view.dtype()));
    Ok(match view.dtype() {
        Dtype::I64 => Scalar::Int(i64::from_le_bytes(eight()?)),
        Dtype::U64 => Scalar::UInt(u64::from_le_bytes(eight()?)),
        Dtype::F64 => Scalar::Float(f64::from_le_bytes(eight()?)),
        Dtype::BOOL => Scalar::Bool(view.data() != [0]),
        other => return Err(unstorable(name, other)),
    })
}

fn tensor(name: &str, view: &TensorView<'_>) -> Result<TensorData, StateError> {
    let dtype = DTYPES.iter().find(|(_, in_file)| *in_file == view.dtype());
    let (dtype, _) = dtype.ok_or_else(|| unstorable(name, view.dtype()))?;
    // safetensors has checked that the length of the data fits shape and element type.
    Ok(TensorData::from_bytes_vec(
        view.data().to_vec(),
        Shape::from(view.shape().to_vec()),
        *dtype,
    ))
}

fn unstorable(name: &str, dtype: impl std::fmt::Debug) -> StateError {
    StateError::Dtype {
        name: name.to_owned(),
        dtype: format!("{dtype:?}"),
    }
}

/// Element types in memory and in the file.
const DTYPES: [(DType, Dtype); 12] = [
    (DType::F64, Dtype::F64),
    (DType::F32, Dtype::F32),
    (DType::F16, Dtype::F16),
    (DType::BF16, Dtype::BF16),
    (DType::I64, Dtype::I64),
    (DType::I32, Dtype::I32),
    (DType::I16, Dtype::I16),
    (DType::I8, Dtype::I8),
    (DType::U64, Dtype::U64),
    (DType::U32, Dtype::U32),
    (DType::U16, Dtype::U16),
    (DType::U8, Dtype::U8),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let mut state = State::default();
        state.tensors.insert(
            "a/moment".into(),
            TensorData::from([[1.5_f32, f32::MIN_POSITIVE / 2.0], [-0.0, f32::MAX]]),
        );
        state
            .tensors
            .insert("a/codes".into(), TensorData::from([0_u8, 255]));
        state
            .tensors
            .insert("a/shape".into(), TensorData::from([2_i64, -2]));
        state.scalars.insert("d".into(), Scalar::Float(0.1 + 0.2));
        state
            .scalars
            .insert("a/time".into(), Scalar::UInt(u64::MAX));
        state.scalars.insert("offset".into(), Scalar::Int(i64::MIN));
        state.scalars.extend([
            ("on".into(), Scalar::Bool(true)),
            ("off".into(), Scalar::Bool(false)),
        ]);
        state
    }

    #[test]
    fn bytes_give_the_same_state_back() -> Result<(), StateError> {
        assert_eq!(State::from_bytes(&state().to_bytes()?)?, state());
        assert_eq!(
            State::from_bytes(&State::default().to_bytes()?)?,
            State::default()
        );
        Ok(())
    }

    #[test]
    fn other_files_are_refused() {
        let strange =
            safetensors::serialize::<&str, Entry<'_>, _>([], None).expect("an empty file");
        assert!(matches!(
            State::from_bytes(&strange),
            Err(StateError::Format { found: None, .. })
        ));
        assert!(matches!(
            State::from_bytes(b"{}"),
            Err(StateError::Safetensors(_))
        ));
    }

    #[test]
    fn what_the_file_cannot_hold_is_refused_by_name() {
        let truth = State {
            tensors: [("mask".into(), TensorData::from([true]))].into(),
            ..State::default()
        };
        assert!(matches!(truth.to_bytes(), Err(StateError::Dtype { name, .. }) if name == "mask"));
    }
}
