use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use atomic_file::write_atomically;
use serde::{Deserialize, Serialize};

use super::{FaceSetError, FoundFace};

/// The record's file in a folder of crops. The dot keeps it out of the dataset.
const NAME: &str = ".faces.json";

/// Grows when crops of the same picture and options come out differently.
const VERSION: u32 = 1;

/// What was made of which picture: tells on the next run what has changed, and by whom.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FaceRecord {
    version: u32,
    /// By the file name of the picture.
    pub(super) pictures: BTreeMap<String, RecordedPicture>,
}

/// What was made of one picture.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedPicture {
    /// Of the picture, its caption and all options.
    pub(super) digest: String,
    /// The faces in it.
    pub(super) faces: Vec<FoundFace>,
    /// The names of the files written, with the digests of their bytes.
    pub(super) files: BTreeMap<String, String>,
}

impl Default for FaceRecord {
    fn default() -> Self {
        Self {
            version: VERSION,
            pictures: BTreeMap::new(),
        }
    }
}

impl FaceRecord {
    /// The record in `folder`; an empty one where there is none, or one of another version.
    ///
    /// # Errors
    /// When the record cannot be read or is no record.
    pub(super) fn read(folder: &Path) -> Result<Self, FaceSetError> {
        let path = path_in(folder);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => return Err(FaceSetError::File { path, cause }),
        };
        let record: Self =
            serde_json::from_slice(&bytes).map_err(|error| FaceSetError::Record {
                path,
                reason: error.to_string(),
            })?;
        if record.version == VERSION {
            Ok(record)
        } else {
            Ok(Self::default())
        }
    }

    /// Whether `folder` has a record.
    pub(super) fn is_in(folder: &Path) -> bool {
        path_in(folder).is_file()
    }

    /// Whether any file was written.
    pub(super) fn has_files(&self) -> bool {
        self.pictures
            .values()
            .any(|picture| !picture.files.is_empty())
    }

    /// Removes the record in `folder`, and the folder when nothing else is in it.
    ///
    /// # Errors
    /// When the record is there and cannot be removed.
    pub(super) fn remove(folder: &Path) -> Result<(), FaceSetError> {
        let path = path_in(folder);
        match fs::remove_file(&path) {
            Ok(()) => {
                // A folder with other files in it stays.
                let _ = fs::remove_dir(folder);
                Ok(())
            }
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(FaceSetError::File { path, cause }),
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), FaceSetError> {
        Ok(write_atomically(path_in(folder), |file| {
            serde_json::to_writer(&mut *file, self)?;
            file.write_all(b"\n")
        })?)
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join(NAME)
}
