use std::{
    fs, io,
    path::{Path, PathBuf},
};

use atomic_file::WriteError;
use lora_core::lora_file::ModelHashes;
use serde::{Deserialize, Serialize};

use crate::{
    Difference, Environment, ReproduceError, RunFolder, checkpoint::Sources, config::TrainConfig,
};

/// The file of a run folder that holds it.
const FILE: &str = "ledger.toml";
/// Raised when older versions could not read it.
const VERSION: u32 = 1;

/// What a run was made from, where, and what it made: all that is needed to make it again and to tell whether that gave the
/// same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    version: u32,
    /// When the run was begun, in seconds since 1970.
    pub(crate) started_at: f64,
    /// Whether it came to its end.
    pub(crate) ended: bool,
    /// Whether it had no parts but those that the config names.
    pub(crate) from_config: bool,
    /// Whether it went on at some time from other settings, pictures or another model than before.
    pub(crate) changed: bool,
    pub(crate) environment: Environment,
    pub(crate) sources: Sources,
    /// The files of finished epochs and the last one, in order.
    #[serde(default)]
    pub(crate) files: Vec<LedgerFile>,
}

/// A file that the run made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct LedgerFile {
    /// Its name in the folder.
    pub(crate) name: String,
    /// SHA-256 of the whole file, in hexadecimal.
    pub(crate) sha256: String,
    /// Steps done by then.
    pub(crate) step: u64,
    /// The time that the file tells, in seconds since 1970.
    pub(crate) saved_at: f64,
}

impl Ledger {
    pub(crate) fn new(config: &TrainConfig, sources: Sources, started_at: f64) -> Self {
        Self {
            version: VERSION,
            started_at,
            ended: false,
            from_config: true,
            changed: false,
            environment: Environment::here(config.train.device),
            sources,
            files: Vec::new(),
        }
    }

    /// Notes whether the run has no parts but those that the config names.
    pub(crate) fn of_config_alone(self, from_config: bool) -> Self {
        Self {
            from_config,
            ..self
        }
    }

    /// The ledger of a run that goes on after `steps` steps: files of later ones will be made again. One that is not there, or
    /// that cannot be read, begins anew and knows of no change.
    pub(crate) fn going_on(self, folder: &Path, steps: u64) -> Self {
        let Ok(before) = Self::read(folder) else {
            return self;
        };
        let differs = !Difference::between(&before.sources, &self.sources).is_empty();
        let mut files = before.files;
        files.retain(|file| file.step <= steps);
        Self {
            changed: before.changed || differs,
            files,
            ..self
        }
    }

    /// Takes up a file that was just written, with the SHA-256 of its bytes.
    pub(crate) fn note(&mut self, path: &Path, step: u64, saved_at: f64, sha256: String) {
        let name = name_of(path);
        self.files.retain(|file| file.name != name);
        self.files.push(LedgerFile {
            name,
            sha256,
            step,
            saved_at,
        });
    }

    /// # Errors
    /// [`WriteError`]; the one that was there stays.
    pub(crate) fn write(&self, folder: &RunFolder) -> Result<(), WriteError> {
        // TOML, whose numbers come back to the last bit; those of JSON may not.
        let text = toml::to_string(self).map_err(|error| WriteError {
            path: folder.path().join(FILE),
            source: io::Error::other(error),
        })?;
        folder.write(FILE, text.as_bytes())
    }

    /// # Errors
    /// When there is none, or one of another version.
    pub(crate) fn read(folder: &Path) -> Result<Self, ReproduceError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(|source| ReproduceError::NoLedger {
            path: path.clone(),
            source,
        })?;
        let unreadable = |reason: String| ReproduceError::Unreadable {
            path: path.clone(),
            reason,
        };
        let ledger: Self =
            toml::from_str(&text).map_err(|error| unreadable(error.message().to_owned()))?;
        if ledger.version != VERSION {
            let version = ledger.version;
            return Err(unreadable(format!(
                "it is of version {version} of the format, and this is version {VERSION}"
            )));
        }
        Ok(ledger)
    }

    /// The time that the file of that name tells.
    pub(crate) fn saved_at(&self, path: &Path) -> Option<f64> {
        let name = name_of(path);
        let mut files = self.files.iter();
        files
            .find(|file| file.name == name)
            .map(|file| file.saved_at)
    }
}

/// The SHA-256 of a file; `None` where it cannot be read.
pub(super) fn sha256(path: &PathBuf) -> Option<String> {
    ModelHashes::of_file(path).ok().map(|hashes| hashes.sha256)
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}
