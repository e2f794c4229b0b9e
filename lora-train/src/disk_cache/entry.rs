use std::{
    collections::{BTreeMap, HashMap},
    io,
    path::Path,
};

use burn::tensor::{DType, Device, Tensor, TensorData};
use lora_core::safetensors_file::{RawTensor, SafetensorsFile, SafetensorsFileError};
use safetensors::{Dtype, tensor::TensorView};
use serde::{Deserialize, Serialize};

use super::{Key, KeyMaker, Kind};

/// The one metadata entry of a file, which says what it is.
const LABEL: &str = "lora_cache_entry";

/// Tensors with names, bit for bit as the device gave them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    tensors: BTreeMap<String, RawTensor>,
}

/// Why there is no entry in a file.
#[derive(Debug)]
pub(crate) enum EntryFault {
    /// There is no such file.
    Absent,
    /// It is not what it should be; the text names it.
    Damaged(String),
}

/// What a file says of itself.
#[derive(Deserialize, Serialize)]
struct Label {
    kind: String,
    key: String,
    /// SHA-256 of all tensors.
    checksum: String,
}

impl Entry {
    /// Adds a tensor, read back from its device. `None` where its numbers are neither f32, f16 nor bf16.
    pub(crate) fn with<const D: usize>(mut self, name: &str, tensor: Tensor<D>) -> Option<Self> {
        let data = tensor.into_data();
        let tensor = RawTensor {
            dtype: stored_dtype(data.dtype())?,
            shape: data.shape().to_vec(),
            bytes: data.as_bytes().to_vec(),
        };
        self.tensors.insert(name.to_owned(), tensor);
        Some(self)
    }

    /// One tensor of f32 numbers.
    pub(crate) fn of_floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        let tensor = RawTensor {
            dtype: Dtype::F32,
            shape: shape.to_vec(),
            bytes: values
                .iter()
                .flat_map(|value| value.to_le_bytes())
                .collect(),
        };
        Self {
            tensors: BTreeMap::from([(name.to_owned(), tensor)]),
        }
    }

    /// The f32 numbers of a tensor, whatever its shape.
    pub(crate) fn floats(&self, name: &str) -> Option<Vec<f32>> {
        let tensor = self.tensors.get(name)?;
        (tensor.dtype == Dtype::F32).then(|| tensor.to_f32())?
    }

    /// A tensor of rank `D` on `device`; `None` where the entry has no such tensor.
    pub(crate) fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Option<Tensor<D>> {
        let tensor = self.tensors.get(name)?;
        if tensor.shape.len() != D {
            return None;
        }
        let dtype = memory_dtype(tensor.dtype)?;
        let data = TensorData::from_bytes_vec(tensor.bytes.clone(), tensor.shape.clone(), dtype);
        Some(Tensor::from_data(data, (device, dtype)))
    }

    /// Whether it has a tensor of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The file of an entry.
    pub(super) fn to_bytes(&self, kind: Kind, key: &Key) -> Result<Vec<u8>, String> {
        let label = Label {
            kind: kind.name().to_owned(),
            key: key.to_string(),
            checksum: self.checksum(),
        };
        let label = serde_json::to_string(&label).map_err(|error| error.to_string())?;
        let views = self.tensors.iter().map(|(name, tensor)| {
            let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
            view.map(|view| (name.as_str(), view))
        });
        let views = views.collect::<Result<Vec<_>, _>>();
        let metadata = HashMap::from([(LABEL.to_owned(), label)]);
        views
            .and_then(|views| safetensors::serialize(views, Some(metadata)))
            .map_err(|error| error.to_string())
    }

    /// The entry in the file at `path`, every byte of it checked.
    pub(super) fn read(path: &Path, kind: Kind, key: &Key) -> Result<Self, EntryFault> {
        let (entry, label) = Self::read_any(path)?;
        if (label.kind.as_str(), &label.key) == (kind.name(), &key.to_string()) {
            return Ok(entry);
        }
        Err(EntryFault::damaged(path, "is another entry by its label"))
    }

    /// The entry in the file at `path`, which must be of `kind` and named by its key.
    pub(super) fn read_named(path: &Path, kind: Kind) -> Result<Self, EntryFault> {
        let (entry, label) = Self::read_any(path)?;
        let named = path.file_stem().is_some_and(|stem| *stem == *label.key);
        if named && label.kind == kind.name() {
            return Ok(entry);
        }
        Err(EntryFault::damaged(path, "is another entry by its label"))
    }

    fn read_any(path: &Path) -> Result<(Self, Label), EntryFault> {
        let read = |error: SafetensorsFileError| match error {
            SafetensorsFileError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                EntryFault::Absent
            }
            // It names the file.
            error => EntryFault::Damaged(error.to_string()),
        };
        let file = SafetensorsFile::open(path).map_err(read)?;
        let label = file.metadata(LABEL);
        let label: Label = label
            .and_then(|label| serde_json::from_str(label).ok())
            .ok_or_else(|| EntryFault::damaged(path, "has no label of a cache entry"))?;
        let tensors = file.names().into_iter().map(|name| {
            let tensor = file.read(&name).map_err(read)?;
            Ok((name, tensor))
        });
        let entry = Self {
            tensors: tensors.collect::<Result<_, EntryFault>>()?,
        };
        if entry.checksum() == label.checksum {
            Ok((entry, label))
        } else {
            Err(EntryFault::damaged(path, "does not have its checksum"))
        }
    }

    /// Over names, types, shapes and bytes.
    fn checksum(&self) -> String {
        let tensors = self.tensors.iter();
        let sum = tensors.fold(KeyMaker::new("checksum"), |sum, (name, tensor)| {
            sum.with(name)
                .with(format!("{:?} {:?}", tensor.dtype, tensor.shape))
                .with(&tensor.bytes)
        });
        sum.finish().to_string()
    }
}

impl EntryFault {
    fn damaged(path: &Path, what: &str) -> Self {
        Self::Damaged(format!("{}: {what}", path.display()))
    }
}

fn stored_dtype(dtype: DType) -> Option<Dtype> {
    match dtype {
        DType::F32 => Some(Dtype::F32),
        DType::F16 => Some(Dtype::F16),
        DType::BF16 => Some(Dtype::BF16),
        _ => None,
    }
}

fn memory_dtype(dtype: Dtype) -> Option<DType> {
    match dtype {
        Dtype::F32 => Some(DType::F32),
        Dtype::F16 => Some(DType::F16),
        Dtype::BF16 => Some(DType::BF16),
        _ => None,
    }
}
