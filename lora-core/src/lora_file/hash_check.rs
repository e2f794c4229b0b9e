//! Whether the hashes that a LoRA file carries are those of its contents.

use super::layout::{EncodedTensor, Layout};
use super::{LEGACY_HASH, MODEL_HASH, hashes};
use crate::mapped_file::MappedSafetensors;

/// One hash of a file, as stored and as computed anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashCheck {
    /// The metadata's key: `sshs_model_hash` or `sshs_legacy_hash`.
    pub key: &'static str,
    /// What the file says; files of other programs may say nothing.
    pub stored: Option<String>,
    /// What its contents give.
    pub computed: String,
}

impl HashCheck {
    /// Computes both hashes of an open LoRA file. Reads every byte.
    ///
    /// # Errors
    /// When the file's metadata cannot be put into a header again.
    pub fn of(file: &MappedSafetensors) -> serde_json::Result<[Self; 2]> {
        let names = file.names();
        let tensors = names.iter().filter_map(|name| {
            let view = file.view(name)?;
            Some(EncodedTensor {
                name: name.clone(),
                dtype: view.dtype,
                shape: view.shape.to_vec(),
                bytes: view.bytes.to_vec(),
            })
        });
        let layout = Layout::new(tensors.collect());
        let metadata = file
            .metadata_entries()
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let (model, legacy) = hashes::of(&layout, metadata)?;
        Ok(
            [(MODEL_HASH, model), (LEGACY_HASH, legacy)].map(|(key, computed)| Self {
                key,
                stored: file.metadata(key).map(str::to_owned),
                computed,
            }),
        )
    }

    /// Whether stored and computed hash agree; `None` where none is stored.
    pub fn holds(&self) -> Option<bool> {
        self.stored.as_ref().map(|stored| *stored == self.computed)
    }
}
