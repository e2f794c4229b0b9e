//! Configs of other trainers, read into ours: what becomes of every key of theirs is told.
//!
//! Each format is first put into the options of kohya's `train_network.py`, which all of them drive; what follows knows no
//! other names. What a config leaves out is kohya's default, so that it means the same here as there.

mod akegarasu;
mod argument_list;
mod blocks;
mod dataset;
mod fate;
mod foreign_file;
mod gui;
mod importer;
mod loss;
mod network;
mod optimizer;
mod option_table;
mod options;
mod preview;
mod rates;
mod rules;
mod schedule;
mod values;

use std::{
    io,
    path::{Path, PathBuf},
};

use lora_core::{
    Family,
    weights::{Checkpoint, CheckpointError},
};
use serde::Serialize;
use thiserror::Error;

use crate::{config::TrainConfig, preset::RunFileText};
use foreign_file::ForeignFile;
use importer::Importer;

pub use fate::{Fate, ImportedKey};
pub use foreign_file::ForeignFormat;

/// A config of another trainer, read.
#[derive(Clone, Debug, Serialize)]
pub struct Import {
    /// What the file is.
    pub format: ForeignFormat,
    /// What became of each key, in the order of their names.
    pub keys: Vec<ImportedKey>,
    /// What else is worth knowing, such as defaults of theirs that are not ours.
    pub notes: Vec<String>,
    /// What it means here. Relative paths are from the working directory.
    #[serde(skip)]
    pub config: TrainConfig,
}

/// Why a file cannot be imported.
#[derive(Debug, Error)]
pub enum ImportError {
    /// It cannot be opened, or is no text.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is neither TOML nor JSON.
    #[error("{}: {message}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What the parser said, with the place.
        message: String,
    },
    /// It has none of the keys that tell what it is.
    #[error("{}: {reason}", .path.display())]
    NotForeign {
        /// The file.
        path: PathBuf,
        /// What it seems to be, and what to do.
        reason: String,
    },
    /// It is for a kind of model, or of training, that there is not here.
    #[error("{}: it is for {kind}, which cannot be trained here", .path.display())]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// The kind.
        kind: String,
    },
}

impl Import {
    /// Reads a config of kohya's sd-scripts (`--config_file` or `--dataset_config`), of 秋叶's lora-scripts or of the
    /// kohya_ss GUI, told apart by their keys.
    ///
    /// # Errors
    /// [`ImportError`]; what cannot be mapped is none, but told in [`Self::keys`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ImportError> {
        let path = path.as_ref();
        let file = ForeignFile::open(path)?;
        let format = file.format;
        if format == ForeignFormat::KohyaDataset {
            return Ok(dataset::dataset_config(path, &file.table));
        }
        let mut importer = match format {
            ForeignFormat::KohyaGui => gui::translate(&file)?,
            ForeignFormat::Akegarasu => akegarasu::translate(&file)?,
            ForeignFormat::KohyaTraining | ForeignFormat::KohyaDataset => {
                Importer::new(options::Options::of_kohya(&file))
            }
        };
        importer.notes.extend(file.conflicts);
        importer.family = family(&importer);
        network::read(&mut importer);
        optimizer::read(&mut importer);
        rates::read(&mut importer);
        schedule::read(&mut importer);
        dataset::read(&mut importer);
        preview::read(&mut importer);
        loss::read(&mut importer);
        rules::read(&mut importer);
        Ok(importer.finish(format))
    }

    /// The config as the text of a run file that is to lie in `folder`, each line with the key that it came from.
    pub fn text(&self, folder: &Path, source: &Path) -> String {
        let config = self.config.seen_from(folder);
        let mut text = RunFileText::bare(&config).headed(format!(
            "Read from {}, {}.",
            source.display(),
            self.format
        ));
        let lost = |key: &&ImportedKey| {
            matches!(key.fate, Fate::NotSupported { .. } | Fate::Unknown { .. })
        };
        let lost: Vec<&str> = self
            .keys
            .iter()
            .filter(lost)
            .map(|key| key.key.as_str())
            .collect();
        if !lost.is_empty() {
            text = text.headed(format!("Not taken over: {}.", lost.join(", ")));
        }
        for key in &self.keys {
            let (Fate::Mapped { settings }
            | Fate::NotSupported {
                instead: settings, ..
            }) = &key.fate
            else {
                continue;
            };
            for setting in settings {
                if let Some((name, _)) = setting.split_once(" = ") {
                    text = text.with_comment(name, &key.key);
                }
            }
        }
        text.text()
    }
}

/// The family, by the model where it is there, else by what the config says of it.
fn family(importer: &Importer) -> Family {
    let path = importer
        .text("pretrained_model_name_or_path")
        .unwrap_or_default();
    match Checkpoint::open(&path, None) {
        Ok(checkpoint) => checkpoint.family(),
        Err(CheckpointError::ConfigNeeded { family, .. }) => family,
        Err(_) => importer.family,
    }
}
