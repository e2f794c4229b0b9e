//! Reading a LoRA file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;

use super::{LoraFile, LoraModule, LoraProblem, LoraProblems};
use crate::safetensors_file::{RawTensor, SafetensorsFile, SafetensorsFileError};

/// Why a LoRA file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LoraFileError {
    /// It is no readable safetensors file.
    #[error(transparent)]
    File(#[from] SafetensorsFileError),
    /// Its tensors are not those of a LoRA.
    #[error("{}: not a usable LoRA file:{problems}", path.display())]
    Problems {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong with it.
        problems: LoraProblems,
    },
}

/// The keys of one module's tensors as they are found.
#[derive(Default)]
struct Parts<'a> {
    down: Option<&'a str>,
    up: Option<&'a str>,
    alpha: Option<&'a str>,
}

const DOWN: &str = ".lora_down.weight";
const UP: &str = ".lora_up.weight";
const ALPHA: &str = ".alpha";

impl LoraFile {
    /// Reads a LoRA file in sd-scripts' layout, stored as F16, BF16 or F32. A module without alpha gets its rank.
    ///
    /// # Errors
    /// [`LoraFileError`] names the file and, all at once, each key that is unknown or missing, misshapen, of a type that
    /// holds no such numbers, or an alpha that is not one finite number.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, LoraFileError> {
        let file = SafetensorsFile::open(path)?;
        let mut problems = Vec::new();
        let names = file.names();
        let mut parts = BTreeMap::<&str, Parts>::new();
        for name in &names {
            if !sort_in(name, &mut parts) {
                problems.push(LoraProblem::UnknownKey { key: name.clone() });
            }
        }
        if parts.is_empty() {
            problems.insert(0, LoraProblem::NoModules);
        }
        let mut modules = BTreeMap::new();
        for (name, parts) in parts {
            match module(&file, name, &parts)? {
                Ok(module) => {
                    modules.insert(name.to_owned(), module);
                }
                Err(found) => problems.extend(found),
            }
        }
        if !problems.is_empty() {
            return Err(LoraFileError::Problems {
                path: file.path().to_path_buf(),
                problems: LoraProblems(problems),
            });
        }
        let metadata = file.metadata_entries();
        Ok(Self {
            modules,
            metadata: metadata
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        })
    }
}

/// Files the tensor called `name` under its module; false when the name is none of a LoRA.
fn sort_in<'a>(name: &'a str, parts: &mut BTreeMap<&'a str, Parts<'a>>) -> bool {
    let module = |suffix| {
        name.strip_suffix(suffix)
            .filter(|module: &&str| !module.is_empty())
    };
    if let Some(module) = module(DOWN) {
        parts.entry(module).or_default().down = Some(name);
    } else if let Some(module) = module(UP) {
        parts.entry(module).or_default().up = Some(name);
    } else if let Some(module) = module(ALPHA) {
        parts.entry(module).or_default().alpha = Some(name);
    } else {
        return false;
    }
    true
}

/// Puts a module together, or says everything that is wrong with it.
///
/// # Errors
/// Bytes that cannot be read.
fn module(
    file: &SafetensorsFile,
    name: &str,
    parts: &Parts,
) -> Result<Result<LoraModule, Vec<LoraProblem>>, SafetensorsFileError> {
    let mut problems = Vec::new();
    let read = |key: Option<&str>| key.map(|key| file.read(key)).transpose();
    let mut factor = |stored: Option<RawTensor>, suffix: &str| {
        let key = || format!("{name}{suffix}");
        let Some(stored) = stored else {
            problems.push(LoraProblem::MissingKey { key: key() });
            return None;
        };
        let Some(values) = stored.to_f32() else {
            problems.push(LoraProblem::Dtype {
                key: key(),
                dtype: stored.dtype,
            });
            return None;
        };
        Some(TensorData::new(values, stored.shape))
    };
    let down = factor(read(parts.down)?, DOWN);
    let up = factor(read(parts.up)?, UP);
    let alpha = match read(parts.alpha)?.map(|stored| scalar(&stored, name)) {
        Some(Ok(alpha)) => Some(alpha),
        Some(Err(problem)) => {
            problems.push(problem);
            None
        }
        None => None,
    };
    let (Some(down), Some(up)) = (down, up) else {
        return Ok(Err(problems));
    };
    let rank = down.shape().first().copied().unwrap_or(0);
    let module = LoraModule {
        down,
        up,
        alpha: alpha.unwrap_or(rank as f32),
    };
    problems.extend(module.problems(name));
    Ok(if problems.is_empty() {
        Ok(module)
    } else {
        Err(problems)
    })
}

/// The one number of an alpha tensor; its shape is `[]` or, from some trainers, `[1]`.
fn scalar(stored: &RawTensor, module: &str) -> Result<f32, LoraProblem> {
    let key = || format!("{module}{ALPHA}");
    let values = stored.to_f32().ok_or_else(|| LoraProblem::Dtype {
        key: key(),
        dtype: stored.dtype,
    })?;
    match values[..] {
        [alpha] => Ok(alpha),
        _ => Err(LoraProblem::Alpha {
            key: key(),
            found: format!("of shape {:?}", stored.shape),
        }),
    }
}
