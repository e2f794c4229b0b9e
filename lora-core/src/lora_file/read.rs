//! Reading a LoRA file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;

use super::alpha::alpha;
use super::contents::{Contents, Parts};
use super::key::module_name;
use super::{
    FileDtype, LoraFile, LoraLayout, LoraModule, LoraProblem, LoraProblems, LycorisModule,
};
use crate::safetensors_file::SafetensorsFileError;

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

/// How a LoRA file stores its modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredForm {
    /// The spelling of its keys; the first, where it mixes several.
    pub layout: LoraLayout,
    /// The widest number format of its tensors.
    pub dtype: FileDtype,
}

impl LoraFile {
    /// Reads a LoRA file of any [`LoraLayout`], stored as F16, BF16 or F32; or the folder in which PEFT or diffusers put it.
    ///
    /// Modules get the names that kohya's files of the same family have, also where the file spells them otherwise. Alpha
    /// is that of the file, of PEFT's configuration if there is one, or else the rank.
    ///
    /// # Errors
    /// [`LoraFileError`] names the file and, all at once, each key that is unknown or missing, misshapen, of a type that
    /// holds no such numbers, or an alpha that is not one finite number; adapters that are no LoRA are named by kind.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, LoraFileError> {
        Self::read_with_form(path).map(|(lora, _)| lora)
    }

    /// Reads a file like [`Self::read`], and tells in which form it is stored.
    ///
    /// # Errors
    /// See [`Self::read`].
    pub fn read_with_form(path: impl AsRef<Path>) -> Result<(Self, StoredForm), LoraFileError> {
        read(path.as_ref(), false)
    }

    /// Reads a file like [`Self::read`], in which modules may also be LoHa, LoKr or DoRA as LyCORIS writes them.
    ///
    /// # Errors
    /// See [`Self::read`]; adapters of other kinds are named.
    pub fn read_any(path: impl AsRef<Path>) -> Result<Self, LoraFileError> {
        Self::read_any_with_form(path).map(|(lora, _)| lora)
    }

    /// Reads a file like [`Self::read_any`], and tells in which form it is stored.
    ///
    /// # Errors
    /// See [`Self::read_any`].
    pub fn read_any_with_form(path: impl AsRef<Path>) -> Result<(Self, StoredForm), LoraFileError> {
        read(path.as_ref(), true)
    }
}

/// Reads all modules; `any` says whether they may be more than pairs.
fn read(path: &Path, any: bool) -> Result<(LoraFile, StoredForm), LoraFileError> {
    let mut contents = Contents::open(path)?;
    let mut problems = contents.take_problems(any);
    let mut lora = LoraFile::default();
    if any && problems.is_empty() {
        for (name, keys) in &contents.lycoris {
            match lycoris_module(&contents, name, keys)? {
                Ok(module) => {
                    lora.lycoris.insert(name.clone(), module);
                }
                Err(found) => problems.extend(found),
            }
        }
    }
    let pairs = contents.modules.iter();
    for (name, parts) in pairs.filter(|(name, _)| !contents.lycoris.contains_key(*name)) {
        match module(&contents, name, parts)? {
            Ok(module) => {
                lora.modules.insert(name.clone(), module);
            }
            Err(found) => problems.extend(found),
        }
    }
    let file = &contents.file;
    if !problems.is_empty() {
        return Err(LoraFileError::Problems {
            path: file.path().to_path_buf(),
            problems: LoraProblems(problems),
        });
    }
    let metadata = file.metadata_entries();
    lora.metadata = metadata
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let layout = contents.layouts.first().copied();
    let form = StoredForm {
        layout: layout.unwrap_or(LoraLayout::Kohya),
        dtype: contents.dtype(),
    };
    Ok((lora, form))
}

/// Puts a module together that is more than a pair, or says everything that is wrong with it.
///
/// # Errors
/// Bytes that cannot be read.
fn lycoris_module(
    contents: &Contents,
    name: &str,
    keys: &BTreeMap<&'static str, String>,
) -> Result<Result<LycorisModule, Vec<LoraProblem>>, SafetensorsFileError> {
    let none = Parts::default();
    let pair = contents.modules.get(name).unwrap_or(&none);
    let of_pair = [
        ("lora_down.weight", &pair.down),
        ("lora_up.weight", &pair.up),
    ];
    let of_pair = of_pair
        .into_iter()
        .filter_map(|(part, key)| Some((part, key.as_ref()?)));
    let mut problems = Vec::new();
    let mut parts = BTreeMap::new();
    for (part, key) in keys.iter().map(|(part, key)| (*part, key)).chain(of_pair) {
        let stored = contents.file.read(key)?;
        match stored.to_f32() {
            Some(values) if values.is_empty() => {
                problems.push(LoraProblem::Empty { key: key.clone() });
            }
            Some(values) => {
                parts.insert(part, TensorData::new(values, stored.shape));
            }
            None => problems.push(LoraProblem::Dtype {
                key: key.clone(),
                dtype: stored.dtype,
            }),
        }
    }
    let stored_alpha = match &pair.alpha {
        Some(key) => alpha(&contents.file.read(key)?, key).map(Some),
        None => Ok(None),
    };
    let stored_alpha = stored_alpha.unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let module = LycorisModule { parts, alpha: 1.0 };
    let rank = module.rank().unwrap_or(1) as f32;
    let module = LycorisModule {
        alpha: stored_alpha.unwrap_or(rank),
        ..module
    };
    if problems.is_empty() {
        problems.extend(module.problems(name));
    }
    Ok(if problems.is_empty() {
        Ok(module)
    } else {
        Err(problems)
    })
}

/// Puts a module together, or says everything that is wrong with it.
///
/// # Errors
/// Bytes that cannot be read.
fn module(
    contents: &Contents,
    name: &str,
    parts: &Parts,
) -> Result<Result<LoraModule, Vec<LoraProblem>>, SafetensorsFileError> {
    let mut problems = Vec::new();
    let read = |key: &Option<String>| key.as_ref().map(|key| contents.file.read(key)).transpose();
    let [down_key, up_key, _] = LoraModule::keys(name);
    let mut factor = |key: &Option<String>, usual_key: String| {
        let Some(stored) = read(key)? else {
            problems.push(LoraProblem::MissingKey { key: usual_key });
            return Ok(None);
        };
        let values = stored.to_f32();
        if values.is_none() {
            problems.push(LoraProblem::Dtype {
                key: key.clone().unwrap_or(usual_key),
                dtype: stored.dtype,
            });
        }
        Ok::<_, SafetensorsFileError>(values.map(|values| TensorData::new(values, stored.shape)))
    };
    let down = factor(&parts.down, down_key)?;
    let up = factor(&parts.up, up_key)?;
    let stored_alpha = match (read(&parts.alpha)?, &parts.alpha) {
        (Some(stored), Some(key)) => alpha(&stored, key).map(Some),
        _ => Ok(None),
    };
    let stored_alpha = stored_alpha.unwrap_or_else(|problem| {
        problems.push(problem);
        None
    });
    let (Some(down), Some(up)) = (down, up) else {
        return Ok(Err(problems));
    };
    let rank = down.shape().first().copied().unwrap_or(0);
    let configured = || contents.configs.alpha(&module_name(name)?, rank);
    let module = LoraModule {
        alpha: stored_alpha.or_else(configured).unwrap_or(rank as f32),
        ..with_equal_dimensions(down, up)
    };
    problems.extend(module.problems(name));
    Ok(if problems.is_empty() {
        Ok(module)
    } else {
        Err(problems)
    })
}

/// The factors of a module as those of a linear layer or of a convolution, where a file mixes the two forms: ones are put
/// behind the shorter shape. Alpha is 0.
fn with_equal_dimensions(down: TensorData, up: TensorData) -> LoraModule {
    let is_matrix = |factor: &TensorData| factor.shape().len() == 2;
    let both = is_matrix(&down) && is_matrix(&up);
    let [down, up] = [down, up].map(|factor| if both { factor } else { with_kernel(factor) });
    LoraModule {
        down,
        up,
        alpha: 0.0,
    }
}

/// A factor `[rows, columns]`, with any number of extents behind, in the four dimensions of a convolution's.
fn with_kernel(factor: TensorData) -> TensorData {
    let mut shape = factor.shape().to_vec();
    if !(2..4).contains(&shape.len()) {
        return factor;
    }
    shape.resize(4, 1);
    TensorData::new(factor.iter::<f32>().collect(), shape)
}
