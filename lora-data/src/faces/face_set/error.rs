use std::{io, path::PathBuf};

use atomic_file::WriteError;

use crate::DatasetError;

/// Why a face-enhanced set could not be made. Pictures that cannot be read are no such reason: they are reported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaceSetError {
    /// An option has a value that it cannot have.
    #[error("{option} is {value}: expected {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The folder of pictures cannot be used.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// All folders that were found hold crops themselves.
    #[error("{}: holds folders of face crops only; name the folder of their pictures", folder.display())]
    OnlyFaces {
        /// The folder that was named.
        folder: PathBuf,
    },
    /// The crops of two folders would go to one.
    #[error(
        "the crops of {} and {} would both go to {}; run them one by one with different repeats or out folders",
        first.display(),
        second.display(),
        path.display()
    )]
    SameFolder {
        /// The one folder of pictures.
        first: PathBuf,
        /// The other.
        second: PathBuf,
        /// Where their crops would go.
        path: PathBuf,
    },
    /// There are crops of the same pictures already, with other repeats.
    #[error(
        "{} holds crops of these pictures, and would stay beside {}; rename or remove it first",
        found.display(),
        wanted.display()
    )]
    OtherRepeats {
        /// The folder that is there.
        found: PathBuf,
        /// The folder that was to be written.
        wanted: PathBuf,
    },
    /// The record of what was written is not one.
    #[error("{}: is not a record of face crops: {reason}; remove it to make all crops anew", path.display())]
    Record {
        /// The record's file.
        path: PathBuf,
        /// What is wrong with it.
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
    /// A crop could not be made into a picture file.
    #[error("{}: cannot be made: {reason}", path.display())]
    Crop {
        /// The crop's file.
        path: PathBuf,
        /// What the resizer or the encoder said.
        reason: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
