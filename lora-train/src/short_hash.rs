//! The short hashes by which A1111 names files in the text of a picture.

use std::{collections::BTreeMap, path::Path};

use lora_core::{
    lora_file::ModelHashes,
    safetensors_file::{SafetensorsFile, SafetensorsFileError},
};
use sha2::{Digest, Sha256};

use crate::hexadecimal::hexadecimal;

/// Digits of a checkpoint's or a VAE's hash.
const MODEL_DIGITS: usize = 10;
/// Digits of a LoRA's hash.
const LORA_DIGITS: usize = 12;

/// The first ten digits of a file's SHA-256; `None` for a folder, and for a file that cannot be read.
///
/// Reads the whole file: seconds for a checkpoint of some gigabytes.
pub(crate) fn of_model(path: &Path) -> Option<String> {
    let hashes = path.is_file().then(|| ModelHashes::of_file(path).ok())?;
    hashes.as_ref().map(of_hashes)
}

/// The first ten digits of hashes that are known already.
pub(crate) fn of_hashes(hashes: &ModelHashes) -> String {
    hashes.sha256.chars().take(MODEL_DIGITS).collect()
}

/// The first twelve digits of the hash that a LoRA file states about itself, else of the SHA-256 of what follows its
/// header; `None` for a file that cannot be read.
pub(crate) fn of_lora(path: &Path, metadata: &BTreeMap<String, String>) -> Option<String> {
    let stated = metadata.get("sshs_model_hash").cloned();
    let hash = stated.or_else(|| after_header(path).ok())?;
    Some(hash.chars().take(LORA_DIGITS).collect())
}

/// SHA-256 of a safetensors file without its header, in hexadecimal.
fn after_header(path: &Path) -> Result<String, SafetensorsFileError> {
    let mut hash = Sha256::new();
    SafetensorsFile::open(path)?.visit_data(|bytes| hash.update(bytes))?;
    Ok(hexadecimal(&hash.finalize()))
}

#[cfg(test)]
mod tests {
    use lora_core::lora_file::LoraFile;

    use super::*;

    fn golden(name: &str) -> std::path::PathBuf {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden");
        Path::new(folder).join(name)
    }

    /// sd-scripts wrote both the file and the hash in it.
    #[test]
    fn a_lora_has_the_hash_that_it_states() {
        let path = golden("lora/tiny-sd15-lora.safetensors");
        let file = LoraFile::read(&path).expect("a LoRA file");
        let stated = of_lora(&path, &file.metadata).expect("a hash");
        assert_eq!(stated.len(), 12);
        assert_eq!(of_lora(&path, &BTreeMap::new()), Some(stated));
    }

    #[test]
    fn a_model_has_the_hash_of_its_file_and_a_folder_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("model.safetensors");
        std::fs::write(&path, "abc").expect("written");
        // FIPS 180-2, appendix B.1.
        assert_eq!(of_model(&path).as_deref(), Some("ba7816bf8f"));
        assert_eq!(of_model(folder.path()), None);
    }
}
