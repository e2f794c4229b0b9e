//! Writing a LoRA file.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;

use super::layout::{EncodedTensor, Layout};
use super::{
    FileDtype, LEGACY_HASH, LoraFile, LoraModule, LoraProblem, LoraProblems, MODEL_HASH, hashes,
};
use crate::atomic_file::{WriteError, write_atomically};

/// Why a LoRA file was not written. A file that was there before is untouched.
#[derive(Debug, thiserror::Error)]
pub enum LoraWriteError {
    /// The bytes could not be put on the disk.
    #[error(transparent)]
    Io(#[from] WriteError),
    /// The modules cannot be stored.
    #[error("{}: not written:{problems}", path.display())]
    Problems {
        /// The target.
        path: PathBuf,
        /// Everything that is wrong with the modules.
        problems: LoraProblems,
    },
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Size of the file.
    pub bytes: u64,
    /// `sshs_model_hash`: SHA-256 of the tensors' bytes, in hexadecimal.
    pub model_hash: String,
    /// `sshs_legacy_hash`: the 8 digits that older web interfaces show.
    pub legacy_hash: String,
}

impl LoraFile {
    /// Writes the modules, alphas included, as `dtype`, with the metadata and fresh `sshs_*` hashes, atomically.
    ///
    /// Equal contents give equal bytes. Hashes that the metadata brought along are replaced.
    ///
    /// # Errors
    /// [`LoraWriteError`] names the target and each module that is misshapen or holds a value that `dtype` cannot hold,
    /// so that a run gone to NaN or beyond the range of F16 leaves no broken file behind.
    pub fn write(
        &self,
        path: impl AsRef<Path>,
        dtype: FileDtype,
    ) -> Result<Written, LoraWriteError> {
        let path = path.as_ref();
        let layout =
            Layout::new(
                self.encode(dtype)
                    .map_err(|problems| LoraWriteError::Problems {
                        path: path.to_path_buf(),
                        problems: LoraProblems(problems),
                    })?,
            );
        let io_error = |source: serde_json::Error| WriteError {
            path: path.to_path_buf(),
            source: source.into(),
        };
        let (metadata, model_hash, legacy_hash) =
            self.hashed_metadata(&layout).map_err(io_error)?;
        let header = layout.header(&metadata).map_err(io_error)?;
        write_atomically(path, |file| {
            file.write_all(&header)?;
            layout.data().try_for_each(|bytes| file.write_all(bytes))
        })?;
        let data: usize = layout.data().map(<[u8]>::len).sum();
        Ok(Written {
            bytes: (header.len() + data) as u64,
            model_hash,
            legacy_hash,
        })
    }

    /// The metadata to write and the two hashes in it.
    fn hashed_metadata(
        &self,
        layout: &Layout,
    ) -> serde_json::Result<(BTreeMap<String, String>, String, String)> {
        let (model_hash, legacy_hash) = hashes::of(layout, self.metadata.clone())?;
        let mut metadata = self.metadata.clone();
        metadata.insert(MODEL_HASH.to_owned(), model_hash.clone());
        metadata.insert(LEGACY_HASH.to_owned(), legacy_hash.clone());
        Ok((metadata, model_hash, legacy_hash))
    }

    fn encode(&self, dtype: FileDtype) -> Result<Vec<EncodedTensor>, Vec<LoraProblem>> {
        let mut tensors = Vec::with_capacity(3 * self.modules.len());
        let mut problems = Vec::new();
        for (name, module) in &self.modules {
            match encode_module(name, module, dtype) {
                Ok(encoded) => tensors.extend(encoded),
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() {
            Ok(tensors)
        } else {
            Err(problems)
        }
    }
}

fn encode_module(
    name: &str,
    module: &LoraModule,
    dtype: FileDtype,
) -> Result<[EncodedTensor; 3], Vec<LoraProblem>> {
    let mut problems = module.problems(name);
    let mut encode = |part: &str, values: &[f32], shape: &[usize]| {
        let name = format!("{name}.{part}");
        let bytes = dtype.encode(values).unwrap_or_else(|| {
            problems.push(LoraProblem::NotFinite { key: name.clone() });
            Vec::new()
        });
        EncodedTensor {
            name,
            dtype: dtype.stored(),
            shape: shape.to_vec(),
            bytes,
        }
    };
    let values = |data: &TensorData| data.iter::<f32>().collect::<Vec<f32>>();
    let encoded = [
        encode(
            "lora_down.weight",
            &values(&module.down),
            module.down.shape(),
        ),
        encode("lora_up.weight", &values(&module.up), module.up.shape()),
        encode("alpha", &[module.alpha], &[]),
    ];
    if problems.is_empty() {
        Ok(encoded)
    } else {
        Err(problems)
    }
}
