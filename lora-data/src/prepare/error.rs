use std::{io, path::PathBuf};

use atomic_file::WriteError;

use crate::folder_lock::process;

/// A file of boxes that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BoxError {
    /// The file could not be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Read {
        /// The file of boxes.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Rows that cannot be followed.
    #[error("{}: {}", path.display(), rows.join("\n  "))]
    Rows {
        /// The file of boxes.
        path: PathBuf,
        /// Each with its line and what is wrong with it; at least one.
        rows: Vec<String>,
    },
}

/// What keeps a folder from being prepared. A picture that cannot be read is no such thing: it is in the report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrepareError {
    /// An option has a value that it cannot have.
    #[error("{option} is {value}: expected {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: String,
    },
    /// The buckets' settings do not go together.
    #[error("{problems}")]
    Buckets {
        /// What does not, a line each.
        problems: String,
    },
    /// A folder, or something in it, could not be listed.
    #[error("{}: cannot be listed: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// There is nothing to prepare.
    #[error("{}: has no pictures (png, jpg, jpeg, webp, bmp){advice}", path.display())]
    NoPictures {
        /// The folder.
        path: PathBuf,
        /// What to do about it.
        advice: String,
    },
    /// One of the two folders is or lies in the other.
    #[error(
        "{} {relation} {}; originals are never touched, so choose an out folder beside them",
        output.display(),
        input.display()
    )]
    Nested {
        /// The folder of pictures.
        input: PathBuf,
        /// The out folder.
        output: PathBuf,
        /// How they lie.
        relation: &'static str,
    },
    /// Two pictures would become one file, or share its caption.
    #[error(
        "{} and {} would both become {becomes}; rename or remove one of them",
        first.display(),
        second.display()
    )]
    SameName {
        /// The one picture.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// What they would become, without extension.
        becomes: String,
    },
    /// The file of boxes cannot be used.
    #[error(transparent)]
    Boxes(#[from] BoxError),
    /// The record of what was made is not one.
    #[error("{}: line {line}: {reason}; choose another out folder, or remove the file and use --force", path.display())]
    Record {
        /// The record's file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// Another run writes to the out folder.
    #[error("{}: is being written to by another program{}; wait until it is done", folder.display(), process(*by))]
    Locked {
        /// The out folder.
        folder: PathBuf,
        /// That program's process, where it is known.
        by: Option<u32>,
    },
    /// Threads could not be started.
    #[error("threads cannot be started: {reason}")]
    Threads {
        /// What the system said.
        reason: String,
    },
    /// A file or folder could not be read, made or removed.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl PrepareError {
    pub(super) fn file(path: impl Into<PathBuf>, cause: io::Error) -> Self {
        Self::File {
            path: path.into(),
            cause,
        }
    }
}
