use std::{borrow::Cow, path::Path};

use half::{f16, slice::HalfFloatSliceExt};
use lora_core::{ModelConfigs, weights::SeededWeights};
use safetensors::{Dtype, SafeTensorError, tensor::serialize_to_file};
use thiserror::Error;

/// A file of seeded weights that cannot be written.
#[derive(Debug, Error)]
#[error("{}: {source}", .path.display())]
pub struct SeededFileError {
    /// The file.
    path: std::path::PathBuf,
    /// What was wrong.
    source: SafeTensorError,
}

/// A tensor that is made when it is written.
struct SeededTensor {
    key: String,
    shape: Vec<usize>,
    weights: SeededWeights,
}

impl safetensors::View for SeededTensor {
    fn dtype(&self) -> Dtype {
        Dtype::F16
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let values = self.weights.values(&self.key, &self.shape);
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(&values);
        halves.iter().flat_map(|half| half.to_le_bytes()).collect()
    }

    fn data_len(&self) -> usize {
        2 * self.shape.iter().product::<usize>()
    }
}

/// Writes a model of the given shape as a single file in the original layout, in F16, its weights seeded.
///
/// One tensor is in memory at a time. The model computes, and draws nothing that means anything.
///
/// # Errors
/// [`SeededFileError`] names the file.
pub fn write_seeded_file(
    path: &Path,
    configs: &ModelConfigs,
    seed: u64,
) -> Result<(), SeededFileError> {
    let weights = SeededWeights { seed };
    let tensors = configs.single_file_tensors().into_iter();
    let tensors = tensors.map(|(key, shape)| {
        let tensor = SeededTensor {
            key: key.clone(),
            shape,
            weights,
        };
        (key, tensor)
    });
    serialize_to_file(tensors, None, path).map_err(|source| SeededFileError {
        path: path.to_path_buf(),
        source,
    })
}
