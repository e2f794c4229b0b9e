//! Writing a LoRA file.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;

use super::adapter_config::METADATA_KEY;
use super::layout::{EncodedTensor, Layout};
use super::{
    FileDtype, LEGACY_HASH, LoraFile, LoraModule, LoraProblem, LoraProblems, MODEL_HASH, hashes,
};
use atomic_file::{WriteError, write_atomically};

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
    /// Writes the modules in kohya's layout, alphas included, as `dtype`, with the metadata and fresh `sshs_*` hashes, atomically.
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
        let mut metadata = self.metadata.clone();
        // Alphas have keys of their own here.
        metadata.remove(METADATA_KEY);
        let tensors = encode(&self.modules, |name, module| {
            encode_module(name, module, dtype)
        });
        write_file(path.as_ref(), tensors, metadata)
    }
}

/// Encodes all modules, or tells everything that is wrong with them.
pub(super) fn encode(
    modules: &BTreeMap<String, LoraModule>,
    encode: impl Fn(&str, &LoraModule) -> Result<Vec<EncodedTensor>, Vec<LoraProblem>>,
) -> Result<Vec<EncodedTensor>, Vec<LoraProblem>> {
    let mut tensors = Vec::with_capacity(3 * modules.len());
    let mut problems = Vec::new();
    for (name, module) in modules {
        match encode(name, module) {
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

/// Writes encoded tensors with `metadata` and their hashes, atomically.
pub(super) fn write_file(
    path: &Path,
    tensors: Result<Vec<EncodedTensor>, Vec<LoraProblem>>,
    mut metadata: BTreeMap<String, String>,
) -> Result<Written, LoraWriteError> {
    let tensors = tensors.map_err(|problems| LoraWriteError::Problems {
        path: path.to_path_buf(),
        problems: LoraProblems(problems),
    })?;
    let io_error = |source: serde_json::Error| WriteError {
        path: path.to_path_buf(),
        source: source.into(),
    };
    let layout = Layout::new(tensors);
    let (model_hash, legacy_hash) = hashes::of(&layout, metadata.clone()).map_err(io_error)?;
    metadata.insert(MODEL_HASH.to_owned(), model_hash.clone());
    metadata.insert(LEGACY_HASH.to_owned(), legacy_hash.clone());
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

fn encode_module(
    name: &str,
    module: &LoraModule,
    dtype: FileDtype,
) -> Result<Vec<EncodedTensor>, Vec<LoraProblem>> {
    let mut problems = module.problems(name);
    let values = |data: &TensorData| data.iter::<f32>().collect::<Vec<f32>>();
    let [down, up, alpha] = LoraModule::keys(name);
    let tensors = [
        EncodedTensor::new(down, dtype, module.down.shape(), &values(&module.down)),
        EncodedTensor::new(up, dtype, module.up.shape(), &values(&module.up)),
        EncodedTensor::new(alpha, dtype, &[], &[module.alpha]),
    ];
    let tensors = tensors
        .into_iter()
        .filter_map(|tensor| tensor.map_err(|problem| problems.push(problem)).ok())
        .collect();
    if problems.is_empty() {
        Ok(tensors)
    } else {
        Err(problems)
    }
}
