use std::{
    cell::RefCell,
    collections::BTreeSet,
    fmt::{self, Display},
    path::PathBuf,
};

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};
use half::{bf16, f16, vec::HalfFloatVecExt};

use crate::{
    frozen_weight::{EightBit, FrozenWeight},
    safetensors_file::RawTensor,
    weight_format::WeightFormat,
};

/// A tensor that a [`TensorSource`] found.
#[derive(Debug)]
pub enum StoredTensor {
    /// Was read from a file, as F32, F16 or BF16.
    Raw(RawTensor),
    /// Was made in memory.
    Values(Vec<f32>),
}

impl StoredTensor {
    /// Its elements. A source gives floats of at most 32 bits only, which all become f32.
    fn into_values(self) -> Vec<f32> {
        match self {
            Self::Raw(raw) => raw.to_f32().unwrap_or_default(),
            Self::Values(values) => values,
        }
    }
}

/// What is wrong with one tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TensorProblem {
    /// The network needs it and no file has it.
    Missing {
        /// The key looked for.
        key: String,
        /// The file that should have it.
        file: PathBuf,
    },
    /// It has another shape than the config asks for.
    Shape {
        /// The key.
        key: String,
        /// Its file.
        file: PathBuf,
        /// Shape that the config asks for.
        expected: Vec<usize>,
        /// Shape in the file.
        found: Vec<usize>,
    },
    /// It holds something else than f32, f16 or bf16 numbers.
    Type {
        /// The key.
        key: String,
        /// Its file.
        file: PathBuf,
        /// The element type in the file.
        found: String,
    },
    /// Its bytes cannot be read.
    Unreadable {
        /// The key.
        key: String,
        /// Its file.
        file: PathBuf,
        /// What the file's reader said.
        reason: String,
    },
    /// No part of the network asks for it.
    Unexpected {
        /// The key.
        key: String,
        /// Its file.
        file: PathBuf,
    },
}

impl Display for TensorProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { key, file } => write!(f, "missing: {key} in {}", file.display()),
            Self::Shape {
                key,
                file,
                expected,
                found,
            } => write!(
                f,
                "wrong shape: {key} in {} is {found:?}, the config asks for {expected:?}",
                file.display()
            ),
            Self::Type { key, file, found } => write!(
                f,
                "wrong type: {key} in {} is {found}; only F32, F16 and BF16 can be read",
                file.display()
            ),
            // The reason names file and key.
            Self::Unreadable { reason, .. } => f.write_str(reason),
            Self::Unexpected { key, file } => write!(f, "unexpected: {key} in {}", file.display()),
        }
    }
}

/// Finds tensors by their key in the diffusers layout, such as `down_blocks.0.resnets.0.conv1.weight`.
pub trait TensorSource {
    /// The tensor `key`, which is to have `shape`.
    ///
    /// # Errors
    /// [`TensorProblem`] when it is absent, of another shape, not a float or cannot be read.
    fn find(&self, key: &str, shape: &[usize]) -> Result<StoredTensor, TensorProblem>;
}

/// Builds tensors from a [`TensorSource`], one at a time, and gathers every problem instead of stopping at the first.
pub struct WeightReader<'a> {
    source: &'a dyn TensorSource,
    device: &'a Device,
    format: WeightFormat,
    problems: RefCell<Vec<TensorProblem>>,
    used: RefCell<BTreeSet<String>>,
}

impl<'a> WeightReader<'a> {
    /// Reads from `source` onto `device`; weights are stored in `format`, norms always as f32.
    pub fn new(
        source: &'a dyn TensorSource,
        device: &'a Device,
        format: impl Into<WeightFormat>,
    ) -> Self {
        Self {
            source,
            device,
            format: format.into(),
            problems: RefCell::default(),
            used: RefCell::default(),
        }
    }

    /// The whole network's scope.
    pub fn root(&self) -> Weights<'_> {
        Weights {
            reader: self,
            path: String::new(),
        }
    }

    /// The keys asked for, and the problems met.
    pub fn finish(self) -> (BTreeSet<String>, Vec<TensorProblem>) {
        (self.used.into_inner(), self.problems.into_inner())
    }

    fn read<const D: usize>(&self, key: String, shape: [usize; D], dtype: FloatDType) -> Tensor<D> {
        match self.find(key, &shape) {
            Some(stored) => self.plain(stored, shape, dtype),
            None => self.stand_in(shape),
        }
    }

    fn read_frozen<const D: usize>(&self, key: String, shape: [usize; D]) -> FrozenWeight<D> {
        let dtype = self.format.precision.into();
        let Some(stored) = self.find(key, &shape) else {
            return FrozenWeight::Plain(self.stand_in(shape));
        };
        if !self.format.eight_bit {
            return FrozenWeight::Plain(self.plain(stored, shape, dtype));
        }
        let values = stored.into_values();
        match EightBit::of(&values, shape, dtype, self.device) {
            Some(codes) => FrozenWeight::EightBit(codes),
            None => FrozenWeight::Plain(self.plain(StoredTensor::Values(values), shape, dtype)),
        }
    }

    fn find(&self, key: String, shape: &[usize]) -> Option<StoredTensor> {
        let found = self.source.find(&key, shape);
        self.used.borrow_mut().insert(key);
        found
            .map_err(|problem| self.problems.borrow_mut().push(problem))
            .ok()
    }

    fn plain<const D: usize>(
        &self,
        stored: StoredTensor,
        shape: [usize; D],
        dtype: FloatDType,
    ) -> Tensor<D> {
        let data = converted(stored, dtype, shape.to_vec());
        Tensor::from_data(data, (self.device, DType::from(dtype)))
    }

    /// Something of the right shape, so that building goes on and finds the other problems too.
    fn stand_in<const D: usize>(&self, shape: [usize; D]) -> Tensor<D> {
        Tensor::<D>::zeros([1; D], self.device).expand(shape)
    }
}

/// A network's view of its weights: a reader and the path of the module being built.
pub struct Weights<'a> {
    reader: &'a WeightReader<'a>,
    path: String,
}

impl Weights<'_> {
    /// The scope of the submodule `name`.
    pub fn at(&self, name: impl Display) -> Self {
        Self {
            reader: self.reader,
            path: self.key(name),
        }
    }

    /// Path of this module in the diffusers layout.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tensor `name` of this module, in the model's dtype.
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<D> {
        let dtype = self.reader.format.precision.into();
        self.reader.read(self.key(name), shape, dtype)
    }

    /// The weight `name` of a frozen layer: in the model's dtype, or in eight bits where the model is held so.
    pub fn frozen<const D: usize>(&self, name: &str, shape: [usize; D]) -> FrozenWeight<D> {
        self.reader.read_frozen(self.key(name), shape)
    }

    /// The tensor `name` of this module, in f32 whatever the model's dtype is.
    pub fn tensor_f32<const D: usize>(&self, name: &str, shape: [usize; D]) -> Tensor<D> {
        self.reader.read(self.key(name), shape, FloatDType::F32)
    }

    /// The device that the tensors are put on.
    pub fn device(&self) -> &Device {
        self.reader.device
    }

    fn key(&self, name: impl Display) -> String {
        if self.path.is_empty() {
            name.to_string()
        } else {
            format!("{}.{name}", self.path)
        }
    }
}

/// The tensor's elements as tensor data of type `to`; at most one copy of the tensor is made.
fn converted(stored: StoredTensor, to: FloatDType, shape: Vec<usize>) -> TensorData {
    // A source gives floats of at most 32 bits only, which every one of these conversions takes.
    match (stored, to) {
        (StoredTensor::Values(values), FloatDType::F16) => {
            TensorData::new(Vec::<f16>::from_f32_slice(&values), shape)
        }
        (StoredTensor::Values(values), FloatDType::BF16) => {
            TensorData::new(Vec::<bf16>::from_f32_slice(&values), shape)
        }
        (StoredTensor::Raw(raw), FloatDType::F16) => {
            TensorData::new(raw.to_f16().unwrap_or_default(), shape)
        }
        (StoredTensor::Raw(raw), FloatDType::BF16) => {
            TensorData::new(raw.to_bf16().unwrap_or_default(), shape)
        }
        (stored, _) => TensorData::new(stored.into_values(), shape),
    }
}
