use std::{
    io,
    path::{Path, PathBuf},
};

use atomic_file::WriteError;
use lora_core::weights::CheckpointError;
use thiserror::Error;

/// Why a cache cannot be used.
#[derive(Debug, Error)]
pub enum CacheError {
    /// Its folder, or a file in it, cannot be made, read or removed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// An entry cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// There is no such folder.
    #[error("{}: there is no cache; `lora cache build`, or a run with cache.folder, makes one", folder.display())]
    Absent {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds something else.
    #[error(
        "{}: is not a cache, for it has no CACHEDIR.TAG of one; name an empty folder or one that is not there yet",
        folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
    },
    /// The networks' weights cannot be read any more, so that they cannot be told apart.
    #[error(transparent)]
    Model(#[from] CheckpointError),
}

impl CacheError {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io {
            path: path.to_path_buf(),
            source,
        }
    }
}
