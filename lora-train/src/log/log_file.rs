use std::{
    fs::{self, File},
    io::{self, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use atomic_file::WriteError;

use super::LogFormat;
use crate::{Event, facts::now};

/// A file that grows with a run.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    format: Box<dyn LogFormat>,
}

impl LogFile {
    /// Opens the file in a run's folder and cuts it to at most `length` bytes; an empty one gets its head.
    ///
    /// # Errors
    /// [`WriteError`] with the path.
    pub(super) fn open(
        folder: &Path,
        format: Box<dyn LogFormat>,
        length: u64,
    ) -> Result<Self, WriteError> {
        let path = folder.join(format.file());
        let open = || {
            fs::create_dir_all(path.parent().unwrap_or(folder))?;
            let mut file = File::options()
                .create(true)
                .write(true)
                .truncate(false)
                .open(&path)?;
            if file.metadata()?.len() > length {
                file.set_len(length)?;
            }
            if file.seek(SeekFrom::End(0))? == 0 {
                file.write_all(&format.head(now()))?;
            }
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self { path, file, format }),
            Err(source) => Err(WriteError { path, source }),
        }
    }

    /// Appends an event.
    ///
    /// # Errors
    /// [`WriteError`] with the path.
    pub(super) fn note(&mut self, event: &Event<'_>, time: f64) -> Result<(), WriteError> {
        let entry = self.format.entry(event, time);
        // One call, so that a kill does not tear what is short.
        let written = entry.and_then(|entry| self.file.write_all(&entry));
        written.map_err(|source| self.failed(source))
    }

    /// The file's name, seen from the run folder, and its length, all of which is on the disk then.
    ///
    /// # Errors
    /// [`WriteError`] with the path.
    pub(super) fn length(&mut self) -> Result<(String, u64), WriteError> {
        let synced = self.file.sync_all().and_then(|()| self.file.metadata());
        let length = synced.map_err(|source| self.failed(source))?.len();
        Ok((self.format.file().to_owned(), length))
    }

    fn failed(&self, source: io::Error) -> WriteError {
        WriteError {
            path: self.path.clone(),
            source,
        }
    }
}
