//! The bytes of a safetensors file, in the order in which the reference library writes them.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use safetensors::Dtype;
use safetensors::tensor::TensorInfo;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{FileDtype, LoraProblem};

/// The header is padded to a multiple of this, so that the tensors after it are aligned.
const ALIGNMENT: usize = 8;

/// A tensor as it will be stored.
pub(super) struct EncodedTensor {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) bytes: Vec<u8>,
}

impl EncodedTensor {
    /// # Errors
    /// [`LoraProblem::NotFinite`] when `dtype` cannot hold a value.
    pub(super) fn new(
        name: String,
        dtype: FileDtype,
        shape: &[usize],
        values: &[f32],
    ) -> Result<Self, LoraProblem> {
        let Some(bytes) = dtype.encode(values) else {
            return Err(LoraProblem::NotFinite { key: name });
        };
        Ok(Self {
            name,
            dtype: dtype.stored(),
            shape: shape.to_vec(),
            bytes,
        })
    }
}

/// Tensors in file order: widest type first, then by name.
pub(super) struct Layout {
    tensors: Vec<EncodedTensor>,
}

impl Layout {
    pub(super) fn new(mut tensors: Vec<EncodedTensor>) -> Self {
        tensors.sort_by(|a, b| (Reverse(a.dtype), &a.name).cmp(&(Reverse(b.dtype), &b.name)));
        Self { tensors }
    }

    /// The bytes of the tensors, one slice each, that follow the header.
    pub(super) fn data(&self) -> impl Iterator<Item = &[u8]> {
        self.tensors.iter().map(|tensor| tensor.bytes.as_slice())
    }

    /// The header with its length before it; see [`header`].
    pub(super) fn header(
        &self,
        metadata: &BTreeMap<String, String>,
    ) -> serde_json::Result<Vec<u8>> {
        let tensors = self.tensors.iter();
        header(
            tensors.map(|tensor| (tensor.name.as_str(), tensor.dtype, tensor.shape.as_slice())),
            metadata,
        )
    }
}

/// The header of a file that holds these tensors, one behind the other, with its length before it.
///
/// `safetensors::serialize` writes metadata in the order of a hash map, which differs from run to run; here equal input
/// gives equal files.
pub(crate) fn header<'a>(
    tensors: impl IntoIterator<Item = (&'a str, Dtype, &'a [usize])>,
    metadata: &BTreeMap<String, String>,
) -> serde_json::Result<Vec<u8>> {
    let mut start = 0;
    let tensors = tensors.into_iter().map(|(name, dtype, shape)| {
        let end = start + byte_len(dtype, shape);
        let info = TensorInfo {
            dtype,
            shape: shape.to_vec(),
            data_offsets: (start, end),
        };
        start = end;
        (name, info)
    });
    let tensors = tensors.collect();
    let mut json = serde_json::to_vec(&Header { metadata, tensors })?;
    json.resize(json.len().next_multiple_of(ALIGNMENT), b' ');
    let mut header = (json.len() as u64).to_le_bytes().to_vec();
    header.append(&mut json);
    Ok(header)
}

/// Bytes that a tensor takes.
pub(crate) fn byte_len(dtype: Dtype, shape: &[usize]) -> usize {
    shape.iter().product::<usize>() * dtype.bitsize() / 8
}

struct Header<'a> {
    metadata: &'a BTreeMap<String, String>,
    tensors: Vec<(&'a str, TensorInfo)>,
}

impl Serialize for Header<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if !self.metadata.is_empty() {
            map.serialize_entry("__metadata__", self.metadata)?;
        }
        for (name, info) in &self.tensors {
            map.serialize_entry(name, info)?;
        }
        map.end()
    }
}
