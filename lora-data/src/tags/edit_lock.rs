use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::Path,
    process,
};

use super::TagsError;

/// The name of the file that is locked; hidden files are no part of a dataset.
const FILE: &str = ".lora-tags.lock";

/// The right to edit a folder, which one editor has at a time. The system takes it back when the program ends, however it
/// ends; the file stays.
#[derive(Debug)]
pub(super) struct EditLock {
    /// Locked as long as it is open.
    _file: File,
}

impl EditLock {
    /// # Errors
    /// When another editor has the folder, or the file cannot be written.
    pub(super) fn take(folder: &Path) -> Result<Self, TagsError> {
        let path = folder.join(FILE);
        let failed = |cause| TagsError::file(&path, cause);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(TagsError::Locked {
                    folder: folder.into(),
                    by: process_in(&mut file),
                });
            }
            // Some network drives know no locks.
            Err(TryLockError::Error(cause)) if cause.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        // The number only makes the message better.
        let _ = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", process::id()));
        Ok(Self { _file: file })
    }
}

fn process_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
