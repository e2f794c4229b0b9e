//! Writing a LoRA file.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;

use super::adapter_config::METADATA_KEY;
use super::layout::{EncodedTensor, Layout};
use super::{
    FileDtype, LEGACY_HASH, LoraFile, LoraModule, LoraProblem, LoraProblems, LycorisModule,
    MODEL_HASH, hashes,
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
        let pairs = encode(&self.modules, |name, module| {
            encode_module(name, module, dtype)
        });
        let others = encode(&self.lycoris, |name, module| {
            encode_lycoris(name, module, dtype)
        });
        write_file(path.as_ref(), both(pairs, others), metadata)
    }
}

/// Tensors as they will be stored, or what is wrong with them.
pub(super) type Encoded = Result<Vec<EncodedTensor>, Vec<LoraProblem>>;

/// Encodes all modules, or tells everything that is wrong with them.
pub(super) fn encode<M>(
    modules: &BTreeMap<String, M>,
    encode: impl Fn(&str, &M) -> Encoded,
) -> Encoded {
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
    tensors: Encoded,
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

fn both(first: Encoded, second: Encoded) -> Encoded {
    match (first, second) {
        (Ok(mut first), Ok(second)) => {
            first.extend(second);
            Ok(first)
        }
        (Err(mut first), Err(second)) => {
            first.extend(second);
            Err(first)
        }
        (Err(problems), _) | (_, Err(problems)) => Err(problems),
    }
}

fn encode_module(name: &str, module: &LoraModule, dtype: FileDtype) -> Encoded {
    let [down, up, alpha] = LoraModule::keys(name);
    let alpha_of = TensorData::new(vec![module.alpha], [0; 0]);
    let tensors = [(down, &module.down), (up, &module.up), (alpha, &alpha_of)];
    encode_tensors(tensors.into_iter(), dtype, module.problems(name))
}

fn encode_lycoris(name: &str, module: &LycorisModule, dtype: FileDtype) -> Encoded {
    let alpha_of = TensorData::new(vec![module.alpha], [0; 0]);
    let parts = module.parts.iter().map(|(part, data)| (*part, data));
    let tensors = parts
        .chain([("alpha", &alpha_of)])
        .map(|(part, data)| (format!("{name}.{part}"), data));
    encode_tensors(tensors, dtype, module.problems(name))
}

fn encode_tensors<'a>(
    tensors: impl Iterator<Item = (String, &'a TensorData)>,
    dtype: FileDtype,
    mut problems: Vec<LoraProblem>,
) -> Encoded {
    let tensors = tensors
        .map(|(key, data)| {
            let values: Vec<f32> = data.iter::<f32>().collect();
            EncodedTensor::new(key, dtype, data.shape(), &values)
        })
        .filter_map(|tensor| tensor.map_err(|problem| problems.push(problem)).ok())
        .collect();
    if problems.is_empty() {
        Ok(tensors)
    } else {
        Err(problems)
    }
}
