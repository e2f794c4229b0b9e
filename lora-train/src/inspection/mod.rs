//! What can be told about a file or folder of weights without drawing with it.

mod base_model;
mod lora_file;
mod tags;

use std::{collections::BTreeMap, fmt::Display, path::Path};

pub use base_model::{InspectedBase, InspectedComponent};
use lora_core::{
    lora_file::{LoraFile, LoraFileError},
    safetensors_file::{SafetensorsFile, SafetensorsFileError},
    weights::CheckpointError,
};
pub use lora_file::{InspectedHash, InspectedLora, InspectedNorms, InspectedPart};
use serde::Serialize;
pub use tags::TagCount;
use thiserror::Error;

/// A LoRA file or a base model.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Inspection {
    /// A LoRA file.
    Lora(Box<InspectedLora>),
    /// A base model.
    Base(InspectedBase),
}

/// Why something could not be inspected.
#[derive(Debug, Error)]
pub enum InspectError {
    /// It is no safetensors file.
    #[error(transparent)]
    File(#[from] SafetensorsFileError),
    /// It is a LoRA file, but not a usable one.
    #[error(transparent)]
    Lora(#[from] LoraFileError),
    /// It is a base model, or something else, that cannot be read.
    #[error(transparent)]
    Base(#[from] CheckpointError),
}

impl Inspection {
    /// Reads all of a LoRA file, or the headers of a base model: a single file or a diffusers folder.
    ///
    /// # Errors
    /// [`InspectError`], naming the path and what is wrong with it.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, InspectError> {
        let path = path.as_ref();
        let weights = LoraFile::weights_in(path);
        let is_lora = !weights.is_dir() && LoraFile::is_in(&SafetensorsFile::open(&weights)?);
        Ok(if is_lora {
            Self::Lora(Box::new(InspectedLora::open(path)?))
        } else {
            Self::Base(InspectedBase::open(path)?)
        })
    }
}

/// How many tensors there are of each of these types.
fn dtypes(tensors: impl Iterator<Item = impl Display>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for dtype in tensors {
        *counts.entry(dtype.to_string()).or_default() += 1;
    }
    counts
}
