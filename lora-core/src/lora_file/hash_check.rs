//! Whether the hashes that a LoRA file carries are those of its contents.

use super::layout::{EncodedTensor, Layout};
use super::{LEGACY_HASH, MODEL_HASH, hashes};
use crate::safetensors_file::{SafetensorsFile, SafetensorsFileError};

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
    /// When a tensor cannot be read, or the file's metadata cannot be put into a header again.
    pub fn of(file: &SafetensorsFile) -> Result<[Self; 2], SafetensorsFileError> {
        let encoded = |name: String| {
            let stored = file.read(&name)?;
            Ok(EncodedTensor {
                name,
                dtype: stored.dtype,
                shape: stored.shape,
                bytes: stored.bytes,
            })
        };
        let tensors: Result<_, SafetensorsFileError> =
            file.names().into_iter().map(encoded).collect();
        let layout = Layout::new(tensors?);
        let metadata = file
            .metadata_entries()
            .map(|(key, value)| (key.to_owned(), value.to_owned()));
        let (model, legacy) =
            hashes::of(&layout, metadata).map_err(|source| SafetensorsFileError::Header {
                path: file.path().to_path_buf(),
                source,
            })?;
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
