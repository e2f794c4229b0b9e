use std::{io, path::PathBuf};

use atomic_file::WriteError;
use thiserror::Error;

use crate::{PlanError, RunFolderError};

/// Why a queue cannot do what it was asked for. What is in it stays as it is.
#[derive(Debug, Error)]
pub enum QueueError {
    /// A file of the queue cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file of the queue is not what this version writes.
    #[error(
        "{}: no entry that this version can read: {reason}; remove the file and add the run again",
        path.display()
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A file of the queue cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A run that cannot start as it is.
    #[error("{}: {source}", run_file.display())]
    Plan {
        /// Its file.
        run_file: PathBuf,
        /// What is wrong.
        source: PlanError,
    },
    /// A run that cannot have its folder.
    #[error("{}: {source}", run_file.display())]
    Folder {
        /// Its file.
        run_file: PathBuf,
        /// What is wrong.
        source: RunFolderError,
    },
    /// Two entries would write to the same folder.
    #[error(
        "{}: entry {number} of the queue writes to {}, too; set another output.folder",
        run_file.display(), folder.display()
    )]
    SameFolder {
        /// The file that was to be added.
        run_file: PathBuf,
        /// The other entry.
        number: u64,
        /// The folder of both.
        folder: PathBuf,
    },
    /// There is no entry of that number.
    #[error("the queue has no entry {number}; `lora queue list` shows those that are there")]
    NoSuchEntry {
        /// The number.
        number: u64,
    },
    /// An entry is being trained.
    #[error("entry {number} is being trained; stop that first (Ctrl-C in its terminal)")]
    IsRunning {
        /// Its number.
        number: u64,
    },
    /// An entry that has not failed.
    #[error("entry {number} is {status}: only those that failed can be tried again")]
    NotFailed {
        /// Its number.
        number: u64,
        /// How it stands.
        status: &'static str,
    },
    /// Another program trains the queue's runs on the device.
    #[error(
        "{device} is busy: another `lora queue run`{} trains there, and will take what is left as well",
        by.map_or(String::new(), |id| format!(" (process {id})"))
    )]
    Busy {
        /// The device.
        device: String,
        /// The other's process, where it is known.
        by: Option<u32>,
    },
}
