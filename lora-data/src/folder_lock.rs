use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    process,
};

/// The right to write to a folder, which one program has at a time. The system takes it back when the program ends, however
/// it ends; the file stays.
#[derive(Debug)]
pub(crate) struct FolderLock {
    /// Locked as long as it is open.
    _file: File,
}

/// Why a folder could not be locked.
#[derive(Debug)]
pub(crate) enum LockError {
    /// Another program has it: the process of this number, where it is known.
    Held(Option<u32>),
    /// The file could not be written.
    File(PathBuf, io::Error),
}

impl FolderLock {
    /// Locks the file `name` in a folder, which is made if it is not there. Hidden files are no part of a dataset.
    ///
    /// # Errors
    /// When another program has the folder, or the file cannot be written.
    pub(crate) fn take(folder: &Path, name: &str) -> Result<Self, LockError> {
        let path = folder.join(name);
        let failed = |cause| LockError::File(path.clone(), cause);
        let mut file = OpenOptions::new()
            .create(true)
            .read(true)
            .write(true)
            .truncate(false)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(process_in(&mut file))),
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

/// In words, for a message.
pub(crate) fn process(id: Option<u32>) -> String {
    id.map_or(String::new(), |id| format!(" (process {id})"))
}

fn process_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(20).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
