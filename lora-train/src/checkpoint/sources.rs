use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

use lora_data::{DataError, Dataset, View};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{config::TrainConfig, hexadecimal::hexadecimal};

/// How much of the beginning and of the end of each of a model's files is looked at: enough to tell models apart without
/// reading gigabytes.
const LOOKED_AT: u64 = 1 << 20;

/// What a run is made from. Another config, model or dataset makes another run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sources {
    /// The config as TOML, with all its defaults and with absolute paths.
    pub(crate) config: String,
    /// SHA-256 over the pictures, their captions, repeats and groups, and the rules of groups from kohya's file, in hexadecimal; of those too that are taken out of
    /// them to measure by.
    pub(crate) data: String,
    /// SHA-256 over sizes, beginnings and ends of the model's files, and of the LoRA's that the run goes on from.
    pub(crate) model: String,
}

impl Sources {
    /// # Errors
    /// A picture that cannot be read.
    pub(crate) fn of(
        config: &TrainConfig,
        data: &dyn Dataset,
        heldout: Option<&dyn Dataset>,
    ) -> Result<Self, DataError> {
        let heldout = heldout.filter(|_| config.heldout.split.is_some());
        Ok(Self {
            config: config.absolute().to_toml(),
            data: data_digest(config, data, heldout)?,
            model: model_digest(config),
        })
    }
}

fn data_digest(
    config: &TrainConfig,
    data: &dyn Dataset,
    heldout: Option<&dyn Dataset>,
) -> Result<String, DataError> {
    let mut hash = Sha256::new();
    if config.dataset.kohya.is_some() {
        // The config names only the file that they are in.
        hash.update(serde_json::to_vec(data.subsets()).unwrap_or_default());
    }
    hash_pictures(data, &mut hash)?;
    if let Some(heldout) = heldout {
        hash.update("held out");
        hash_pictures(heldout, &mut hash)?;
    }
    Ok(hexadecimal(&hash.finalize()))
}

fn hash_pictures(data: &dyn Dataset, hash: &mut Sha256) -> Result<(), DataError> {
    for (index, entry) in data.entries().iter().enumerate() {
        let picture = data.digest(index, &View::default())?;
        hash.update(picture.unwrap_or_default());
        let words = (&entry.caption, &entry.folder, entry.repeats, entry.subset);
        // Text and numbers serialise without fail.
        hash.update(serde_json::to_vec(&words).unwrap_or_default());
    }
    Ok(())
}

/// A model that is not there, or was never a file, has the digest of nothing.
fn model_digest(config: &TrainConfig) -> String {
    let mut hash = Sha256::new();
    let paths = [
        Some(&config.model.path),
        config.model.vae.as_ref(),
        config.model.config.as_ref(),
        config.lora.from.as_ref(),
    ];
    for path in paths.into_iter().flatten() {
        let _ = look_at(path, &mut hash);
    }
    hexadecimal(&hash.finalize())
}

fn look_at(path: &Path, hash: &mut Sha256) -> io::Result<()> {
    if path.is_dir() {
        let mut inside: Vec<_> = fs::read_dir(path)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        inside.sort();
        return inside.iter().try_for_each(|path| look_at(path, hash));
    }
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    hash.update(length.to_le_bytes());
    let mut part = Vec::new();
    file.by_ref().take(LOOKED_AT).read_to_end(&mut part)?;
    file.seek(SeekFrom::Start(length.saturating_sub(LOOKED_AT)))?;
    file.take(LOOKED_AT).read_to_end(&mut part)?;
    hash.update(part);
    Ok(())
}
