use std::path::Path;

use lora_core::adapter::Strength;

use crate::{lora_folder::stem, short_hash};

/// The files that a picture comes from, as its text names them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Provenance {
    /// The base model; unset where it is not to be told.
    pub model: Option<SourceFile>,
    /// The VAE, where it is not the base model's.
    pub vae: Option<SourceFile>,
    /// The LoRAs in use.
    pub loras: Vec<UsedLora>,
}

/// A file of weights.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its name: without ending for models, with it for a VAE.
    pub name: String,
    /// The first ten digits of its SHA-256; a folder has none.
    pub hash: Option<String>,
}

/// A LoRA file in use.
#[derive(Clone, Debug, PartialEq)]
pub struct UsedLora {
    /// Its name without ending, or what the prompt calls it.
    pub name: String,
    /// How strongly it acts.
    pub strength: Strength,
    /// The first twelve digits of its hash.
    pub hash: Option<String>,
    /// Whether the prompt's own text holds its tag.
    pub in_prompt: bool,
}

impl SourceFile {
    /// A base model; with its hash, for which the whole file is read.
    pub fn model(path: &Path, with_hash: bool) -> Self {
        Self {
            name: stem(path),
            hash: with_hash.then(|| short_hash::of_model(path)).flatten(),
        }
    }

    /// A VAE; with its hash, for which the whole file is read.
    pub fn vae(path: &Path, with_hash: bool) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            ..Self::model(path, with_hash)
        }
    }
}
