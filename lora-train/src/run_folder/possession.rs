//! Who writes to a run folder.

use std::{
    fs,
    path::{Path, PathBuf},
};

use atomic_file::WriteError;
use lora_data::{FolderLock, LockError};
use thiserror::Error;

use super::RunFolder;
use crate::config::TrainConfig;

/// The file that a run holds as long as it writes to its folder.
const LOCK: &str = ".lora-run.lock";

/// Why a run cannot have its folder.
#[derive(Debug, Error)]
pub enum RunFolderError {
    /// Another run writes to it.
    #[error(
        "{}: another run{} is writing to this folder; wait until it is done, or choose another output.folder",
        folder.display(),
        by.map_or(String::new(), |id| format!(" (process {id})"))
    )]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The other run's process, where it is known.
        by: Option<u32>,
    },
    /// It cannot be written to, or holds an earlier run's files.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Makes the folder and takes it, before anything in it is looked at.
pub(super) fn take(folder: &Path) -> Result<FolderLock, RunFolderError> {
    let failed = |path: &Path, source| WriteError {
        path: path.to_path_buf(),
        source,
    };
    fs::create_dir_all(folder).map_err(|source| failed(folder, source))?;
    FolderLock::take(folder, LOCK).map_err(|error| match error {
        LockError::Held(by) => RunFolderError::InUse {
            folder: folder.to_path_buf(),
            by,
        },
        LockError::File(path, source) => failed(&path, source).into(),
    })
}

impl RunFolder {
    /// Whether a run that goes on could have the config's folder now.
    ///
    /// # Errors
    /// When another run writes to it.
    pub(crate) fn check_free(config: &TrainConfig) -> Result<(), RunFolderError> {
        let folder = &config.output.folder;
        match FolderLock::holder(folder, LOCK) {
            Some(by) => Err(RunFolderError::InUse {
                folder: folder.clone(),
                by,
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_at_a_time_has_a_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = TrainConfig::default();
        config.output.folder = folder.path().join("out");
        RunFolder::check(&config).expect("it is not there yet");
        let first = RunFolder::create(&config).expect("made");
        config.output.overwrite = true;
        let refused = [
            RunFolder::check(&config).err(),
            RunFolder::create(&config).err(),
            RunFolder::resume(&config, &std::collections::BTreeMap::new()).err(),
        ];
        for error in refused {
            let error = error.expect("refused").to_string();
            let process = format!("(process {})", std::process::id());
            assert!(
                error.contains("/out: ") && error.contains(&process),
                "{error}"
            );
        }
        drop(first);
        RunFolder::create(&config).expect("free again");
    }
}
