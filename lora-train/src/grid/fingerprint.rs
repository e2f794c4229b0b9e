//! What tells one model or LoRA file from another.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use lora_core::{ModelSource, lora_file::ModelHashes, safetensors_file::SafetensorsFile};
use serde::Serialize;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{GridCells, LoraUse};
use crate::{Provenance, SourceFile, UsedLora, hexadecimal::hexadecimal, short_hash};

/// A file that cannot be read to tell it from others.
#[derive(Debug, Error)]
#[error("{}: {source}", .path.display())]
pub struct FingerprintError {
    /// The file.
    pub path: PathBuf,
    /// What the operating system says.
    pub source: io::Error,
}

/// The model and the LoRA files of a grid, each by something that changes when it does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fingerprints {
    /// The model's.
    pub(super) model: String,
    /// Those of each LoRA file that acts in some cell.
    pub(super) loras: BTreeMap<PathBuf, LoraFingerprint>,
    /// What pictures say about the model.
    pub(super) provenance: Provenance,
}

/// What tells a LoRA file from others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LoraFingerprint {
    /// SHA-256 of the file.
    pub(super) sha256: String,
    /// What pictures say about it, where they say it.
    pub(super) short: Option<String>,
}

/// One file of a model.
#[derive(Serialize)]
struct ModelPart {
    path: PathBuf,
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: u128,
}

impl Fingerprints {
    /// Of the model in `source`, and of the LoRA files in `cells`; `with_hashes` if pictures are to tell A1111's hashes of
    /// them, for which model and VAE are read whole.
    ///
    /// Models are told apart by the paths, sizes and times of their files, for reading gigabytes would take minutes; LoRA
    /// files by their bytes.
    ///
    /// # Errors
    /// [`FingerprintError`] for what cannot be read.
    pub fn read(
        cells: &GridCells,
        source: &ModelSource,
        with_hashes: bool,
    ) -> Result<Self, FingerprintError> {
        let ModelSource {
            path,
            config,
            vae,
            prediction_type,
            zero_terminal_snr,
            precision,
            eight_bit,
        } = source;
        let mut parts = Vec::new();
        for path in [Some(path), config.as_ref(), vae.as_ref()] {
            let Some(path) = path else {
                continue;
            };
            let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            look_at(&path, &mut parts)?;
        }
        // Strings and numbers serialise without fail.
        let settings = (prediction_type, zero_terminal_snr, precision, eight_bit);
        let model = serde_json::to_vec(&(parts, settings)).unwrap_or_default();
        let mut loras = BTreeMap::new();
        for lora in cells.cells.iter().flatten().flat_map(|cell| &cell.loras) {
            if !loras.contains_key(&lora.path) {
                let print = LoraFingerprint::read(&lora.path, with_hashes);
                let print = print.map_err(|source| FingerprintError {
                    path: lora.path.clone(),
                    source,
                })?;
                loras.insert(lora.path.clone(), print);
            }
        }
        Ok(Self {
            model: digest(&model),
            loras,
            provenance: Provenance {
                model: Some(SourceFile::model(path, with_hashes)),
                vae: vae.as_ref().map(|vae| SourceFile::vae(vae, with_hashes)),
                loras: Vec::new(),
            },
        })
    }
}

impl Fingerprints {
    /// What a picture with these LoRAs says about its files.
    pub(super) fn provenance(&self, loras: &[LoraUse]) -> Provenance {
        let used = loras.iter().map(|lora| UsedLora {
            name: lora.name.clone(),
            strength: lora.strength,
            hash: self
                .loras
                .get(&lora.path)
                .and_then(|print| print.short.clone()),
            in_prompt: false,
        });
        Provenance {
            loras: used.collect(),
            ..self.provenance.clone()
        }
    }
}

impl LoraFingerprint {
    fn read(path: &Path, with_hash: bool) -> io::Result<Self> {
        let short = if with_hash {
            let file = SafetensorsFile::open(path).map_err(io::Error::other)?;
            let entries = file.metadata_entries();
            let metadata = entries.map(|(key, value)| (key.to_owned(), value.to_owned()));
            short_hash::of_lora(path, &metadata.collect())
        } else {
            None
        };
        Ok(Self {
            sha256: ModelHashes::of_file(path)?.sha256,
            short,
        })
    }
}

/// Adds the file, or all files of the folder, to `parts`.
fn look_at(path: &Path, parts: &mut Vec<ModelPart>) -> Result<(), FingerprintError> {
    let failed = |source| FingerprintError {
        path: path.to_path_buf(),
        source,
    };
    let metadata = fs::metadata(path).map_err(failed)?;
    if metadata.is_dir() {
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let mut paths: Vec<_> = entries
            .map_err(failed)?
            .into_iter()
            .map(|entry| entry.path())
            .collect();
        paths.sort();
        return paths.iter().try_for_each(|path| look_at(path, parts));
    }
    let modified = metadata.modified().map_err(failed)?;
    parts.push(ModelPart {
        path: path.to_path_buf(),
        bytes: metadata.len(),
        modified: modified
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos(),
    });
    Ok(())
}

/// 32 hexadecimal digits of SHA-256: enough that no two cells ever share them.
pub(super) fn digest(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes)[..16])
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use lora_core::Precision;

    use super::*;
    use crate::grid::example::request;

    #[test]
    fn a_model_is_known_by_its_files_and_how_it_is_read_and_a_lora_by_its_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let model = folder.path().join("model");
        fs::create_dir_all(model.join("unet")).expect("made");
        let weights = model.join("unet/weights.safetensors");
        fs::write(&weights, "weights").expect("written");
        let mut request = request();
        for file in &mut request.files {
            file.path = folder.path().join(&file.path);
            fs::write(&file.path, &file.name).expect("written");
        }
        let cells = request.cells().expect("a sound request");
        let source = ModelSource {
            path: model.clone(),
            ..ModelSource::default()
        };
        let read = |source: &ModelSource| Fingerprints::read(&cells, source, false).expect("read");
        let first = read(&source);
        assert_eq!(first, read(&source));
        assert_eq!(first.loras.len(), 2);

        let half = ModelSource {
            precision: Precision::F16,
            ..source.clone()
        };
        assert_ne!(first.model, read(&half).model);
        let zero = ModelSource {
            zero_terminal_snr: Some(true),
            ..source.clone()
        };
        assert_ne!(first.model, read(&zero).model);
        let file = fs::File::options()
            .write(true)
            .open(&weights)
            .expect("there");
        let later = SystemTime::now() + Duration::from_mins(1);
        file.set_modified(later).expect("set");
        let touched = read(&source);
        assert_ne!(first.model, touched.model);
        fs::write(model.join("unet/config.json"), "{}").expect("written");
        assert_ne!(touched.model, read(&source).model);

        fs::write(&request.files[0].path, "other").expect("written");
        let changed = read(&source).loras;
        assert_ne!(
            first.loras[&request.files[0].path],
            changed[&request.files[0].path]
        );
        assert_eq!(
            first.loras[&request.files[1].path],
            changed[&request.files[1].path]
        );

        fs::remove_file(&request.files[0].path).expect("removed");
        let error = Fingerprints::read(&cells, &source, false).expect_err("gone");
        assert!(error.to_string().contains("dog-000001"), "{error}");
    }
}
