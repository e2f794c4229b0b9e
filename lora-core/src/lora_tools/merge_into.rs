//! LoRAs merged into a base model, file by file and tensor by tensor.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};

use super::WeightedLora;
use super::base_layers::BaseLayers;
use super::fit::{Misfits, layer_of};
use super::model_folder::{are_nested, write_folder};
use super::weight_fault::WeightFault;
use crate::Family;
use crate::adapter::{Adapter, SiteShape, to_adapter};
use crate::lora_file::{FileDtype, ModuleInFile, safetensors_header};
use crate::safetensors_file::{RawTensor, SafetensorsFile, SafetensorsFileError};
use crate::weights::Checkpoint;
use atomic_file::{WriteError, write_atomically};

/// Why LoRAs were not merged into a base model. What was at the target is untouched.
#[derive(Debug, thiserror::Error)]
pub enum MergeError {
    /// A LoRA is for another family of models.
    #[error("{lora} is a LoRA for {lora_family}, and {} is {base_family}", base.display())]
    Family {
        /// What the LoRA is called.
        lora: String,
        /// The family that it is for.
        lora_family: Family,
        /// The base model.
        base: PathBuf,
        /// Its family.
        base_family: Family,
    },
    /// A LoRA is for another model of the family.
    #[error("{lora} does not fit {}:{misfits}", base.display())]
    Misfits {
        /// What the LoRA is called.
        lora: String,
        /// The base model.
        base: PathBuf,
        /// What does not fit.
        misfits: Misfits,
    },
    /// The folder to write is in the base model's, or the other way round.
    #[error(
        "{}: one of it and the base model's folder {} lies inside the other; write to a folder beside the model",
        target.display(), base.display()
    )]
    Nested {
        /// The folder to write.
        target: PathBuf,
        /// The base model.
        base: PathBuf,
    },
    /// A file of the base model cannot be read.
    #[error(transparent)]
    Read(#[from] SafetensorsFileError),
    /// The target cannot be written; also where a weight cannot be read or holds no numbers in the end.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// What was merged.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Merged {
    /// Weights that were changed.
    pub weights: usize,
    /// Modules that were added to them, those of all LoRAs together.
    pub modules: usize,
}

/// Writes a copy of `checkpoint` to `target`, a file or a folder as it is one itself, in which each adapted weight `W` is
/// `W + Σ strength · alpha / rank · up · down`, or whatever the modules' form makes of it.
///
/// Layout, names and number formats stay; sums are made in f32 on `device`, with about one tensor in memory at a time.
///
/// # Errors
/// [`MergeError`]: every module that the base model has no place for, a file that cannot be read or written, or a sum that
/// the weight's number format cannot hold, by key.
pub fn merge_into(
    checkpoint: &Checkpoint,
    loras: &[WeightedLora<'_>],
    target: &Path,
    device: &Device,
) -> Result<Merged, MergeError> {
    if checkpoint.path().is_dir() && are_nested(checkpoint.path(), target) {
        return Err(MergeError::Nested {
            target: target.to_path_buf(),
            base: checkpoint.path().to_path_buf(),
        });
    }
    let base = BaseLayers::of(checkpoint)?;
    let changes = Changes::plan(checkpoint, loras, &base)?;
    let names: Vec<&str> = loras.iter().map(|lora| lora.name).collect();
    let write = |file: &SafetensorsFile, target: &Path| {
        write_atomically(target, |writer| changes.write(file, &names, writer, device))
    };
    match base.file(checkpoint.path()) {
        Some(file) => write(file, target)?,
        None => write_folder(checkpoint.path(), target, &base, write)?,
    }
    Ok(changes.merged())
}

fn same_family(checkpoint: &Checkpoint, lora: &WeightedLora<'_>) -> Result<(), MergeError> {
    let base_family = checkpoint.family();
    match lora.file.family() {
        Some(lora_family) if lora_family != base_family => Err(MergeError::Family {
            lora: lora.name.to_owned(),
            lora_family,
            base: checkpoint.path().to_path_buf(),
            base_family,
        }),
        _ => Ok(()),
    }
}

/// What is to be added to a tensor, or to some of its rows.
struct Change<'a> {
    rows: Option<Range<usize>>,
    transposed: bool,
    shape: SiteShape,
    modules: Vec<(&'a str, ModuleInFile<'a>, f32)>,
}

/// All changes, by file and key.
struct Changes<'a>(BTreeMap<(PathBuf, String), Vec<Change<'a>>>);

impl<'a> Changes<'a> {
    fn plan(
        checkpoint: &Checkpoint,
        loras: &[WeightedLora<'a>],
        base: &BaseLayers,
    ) -> Result<Self, MergeError> {
        let mut changes = BTreeMap::<_, Vec<Change<'a>>>::new();
        for lora in loras {
            same_family(checkpoint, lora)?;
            let mut misfits = Vec::new();
            for (name, module) in ModuleInFile::all(lora.file) {
                match layer_of(name, module, base) {
                    Ok(layer) => {
                        let place = layer.place.clone();
                        let of_tensor = changes.entry((place.file, place.key)).or_default();
                        let added = (name, module, lora.strength_of(name));
                        match of_tensor
                            .iter_mut()
                            .find(|change| change.rows == place.rows)
                        {
                            Some(change) => change.modules.push(added),
                            None => of_tensor.push(Change {
                                rows: place.rows,
                                transposed: place.transposed,
                                shape: site_shape(&layer.shape),
                                modules: vec![added],
                            }),
                        }
                    }
                    Err(misfit) => misfits.push(misfit),
                }
            }
            if !misfits.is_empty() {
                return Err(MergeError::Misfits {
                    lora: lora.name.to_owned(),
                    base: checkpoint.path().to_path_buf(),
                    misfits: Misfits(misfits),
                });
            }
        }
        Ok(Self(changes))
    }

    fn merged(&self) -> Merged {
        let changes = self.0.values().flatten();
        Merged {
            weights: changes.clone().count(),
            modules: changes.map(|change| change.modules.len()).sum(),
        }
    }

    /// Writes `file` with its changes, in the same order and formats.
    fn write(
        &self,
        file: &SafetensorsFile,
        loras: &[&str],
        writer: &mut impl Write,
        device: &Device,
    ) -> io::Result<()> {
        let names = file.names();
        let tensors = names.iter().filter_map(|name| {
            let info = file.info(name)?;
            Some((name.as_str(), info.dtype, info.shape.as_slice()))
        });
        let header = safetensors_header(tensors, &metadata(file, loras))?;
        writer.write_all(&header)?;
        for name in names {
            let mut raw = file.read(&name).map_err(io::Error::other)?;
            let key = (file.path().to_path_buf(), name);
            for change in self.0.get(&key).into_iter().flatten() {
                let named = |fault| io::Error::other(format!("{}: {fault}", key.1));
                change.apply(&mut raw, device).map_err(named)?;
            }
            writer.write_all(&raw.bytes)?;
        }
        Ok(())
    }
}

impl Change<'_> {
    /// Adds the modules to the tensor.
    fn apply(&self, raw: &mut RawTensor, device: &Device) -> Result<(), WeightFault> {
        let stored = WeightFault::Dtype { dtype: raw.dtype };
        let dtype = FileDtype::of_stored(raw.dtype).ok_or(stored)?;
        let mut values = raw.to_f32().ok_or(stored)?;
        if !values.iter().all(|value| value.is_finite()) {
            return Err(WeightFault::Base);
        }
        let row = values.len() / raw.shape.first().copied().unwrap_or(1).max(1);
        let values_of_rows = match &self.rows {
            Some(rows) => &mut values[rows.start * row..rows.end * row],
            None => &mut values[..],
        };
        let frozen = values_of_rows.to_vec();
        for (name, module, strength) in &self.modules {
            let delta = self.delta(name, *module, *strength, &frozen, device);
            if !delta.iter().all(|change| change.is_finite()) {
                return Err(WeightFault::Lora);
            }
            for (value, change) in values_of_rows.iter_mut().zip(delta) {
                *value += change;
            }
        }
        let overflow = WeightFault::Overflow { dtype: raw.dtype };
        raw.bytes = dtype.encode(&values).ok_or(overflow)?;
        Ok(())
    }

    /// What the module adds to the `frozen` weight, at `strength`, both in the order of the stored tensor. All modules of a
    /// weight are taken at what it was before, as they are while drawing.
    fn delta(
        &self,
        name: &str,
        module: ModuleInFile<'_>,
        strength: f32,
        frozen: &[f32],
        device: &Device,
    ) -> Vec<f32> {
        let (outputs, receptive) = (self.shape.outputs, self.shape.receptive());
        let weight = || {
            let shape = if self.transposed {
                [receptive, outputs]
            } else {
                [outputs, receptive]
            };
            let stored = Tensor::<2>::from_data(TensorData::new(frozen.to_vec(), shape), device);
            if self.transposed {
                stored.transpose()
            } else {
                stored
            }
        };
        let Ok(adapter) = to_adapter(name, module, self.shape, weight, device) else {
            // Shapes were compared when the changes were planned.
            return vec![f32::NAN; frozen.len()];
        };
        let delta = Adapter {
            strength,
            ..adapter
        }
        .delta(weight());
        let delta = if self.transposed {
            delta.transpose()
        } else {
            delta
        };
        delta.into_data().iter().collect()
    }
}

fn site_shape(weight: &[usize]) -> SiteShape {
    let kernel = match weight {
        [_, _, height, width] => Some([*height, *width]),
        _ => None,
    };
    SiteShape {
        outputs: weight.first().copied().unwrap_or(0),
        inputs: weight.get(1).copied().unwrap_or(0),
        kernel,
    }
}

/// The file's own, with a note of what was merged into it; hashes of what it was are left out.
fn metadata(file: &SafetensorsFile, loras: &[&str]) -> BTreeMap<String, String> {
    const MERGED_FROM: &str = "modelspec.merged_from";
    let mut metadata: BTreeMap<String, String> = file
        .metadata_entries()
        .filter(|(key, _)| !key.contains("hash"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let base = file
        .path()
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let base = metadata.get("modelspec.title").cloned().unwrap_or(base);
    metadata.insert(
        MERGED_FROM.to_owned(),
        [&[base.as_str()], loras].concat().join(", "),
    );
    metadata
}
