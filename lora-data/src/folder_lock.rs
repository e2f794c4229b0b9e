use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    process, thread,
    time::Duration,
};

/// The right to write to a folder, which one program has at a time. The system takes it back when the program ends, however
/// it ends; the file stays.
#[derive(Debug)]
pub struct FolderLock {
    /// Locked as long as it is open.
    _file: File,
}

/// Why a folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another has it: the process of this number, where it is known.
    #[error("another program{} has it", process(*.0))]
    Held(Option<u32>),
    /// The file could not be written.
    #[error("{}: {}", .0.display(), .1)]
    File(PathBuf, io::Error),
}

/// So often a lock that is held is tried again, [`PAUSE`] later: [`FolderLock::holder`] holds it for an instant.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_millis(10);

impl FolderLock {
    /// Locks the file `name` in a folder. Hidden files are no part of a dataset.
    ///
    /// # Errors
    /// When another program has the folder, or the file cannot be written.
    pub fn take(folder: &Path, name: &str) -> Result<Self, LockError> {
        let path = folder.join(name);
        let failed = |cause| LockError::File(path.clone(), cause);
        let mut file = opened(&path).map_err(failed)?;
        let mut tries = 0;
        loop {
            tries += 1;
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries < TRIES => thread::sleep(PAUSE),
                Err(TryLockError::WouldBlock) => {
                    return Err(LockError::Held(process_in(&mut file)));
                }
                // Some network drives know no locks.
                Err(TryLockError::Error(cause)) if cause.kind() == io::ErrorKind::Unsupported => {
                    break;
                }
                Err(TryLockError::Error(cause)) => return Err(failed(cause)),
            }
        }
        Ok(Self::signed(file))
    }

    /// The same, but waits until another has let it go.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn wait(folder: &Path, name: &str) -> Result<Self, LockError> {
        let path = folder.join(name);
        let failed = |cause| LockError::File(path.clone(), cause);
        let file = opened(&path).map_err(failed)?;
        match file.lock() {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::Unsupported => {}
            Err(cause) => return Err(failed(cause)),
        }
        Ok(Self::signed(file))
    }

    /// Whether somebody has locked the file `name` in a folder, and the process where it is known. Leaves no file.
    pub fn holder(folder: &Path, name: &str) -> Option<Option<u32>> {
        let mut file = File::open(folder.join(name)).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => Some(process_in(&mut file)),
            Ok(()) | Err(TryLockError::Error(_)) => None,
        }
    }

    fn signed(mut file: File) -> Self {
        // The number only makes the message better.
        let _ = file
            .set_len(0)
            .and_then(|()| writeln!(file, "{}", process::id()));
        Self { _file: file }
    }
}

fn opened(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(path)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_and_looking_does_not_take_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (folder, name) = (folder.path(), ".some.lock");
        assert_eq!(FolderLock::holder(folder, name), None);
        assert!(!folder.join(name).exists());
        let lock = FolderLock::take(folder, name).expect("free");
        let ours = Some(process::id());
        assert_eq!(FolderLock::holder(folder, name), Some(ours));
        match FolderLock::take(folder, name) {
            Err(LockError::Held(by)) => assert_eq!(by, ours),
            other => panic!("{other:?}"),
        }
        drop(lock);
        // The number is still in the file, and nobody has it.
        assert_eq!(FolderLock::holder(folder, name), None);
        FolderLock::wait(folder, name).expect("free again");
    }
}
