use std::{
    fs::{self, File},
    io::{self, Write},
    ops::ControlFlow,
    path::{Component, Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use atomic_file::write_atomically;
use rayon::prelude::*;

use super::{EditStep, TagsError, caption_set::read_if_there, journal_line::FileChange};

/// Threads that write: most of the time each waits for the disk.
const THREADS: usize = 16;
/// So many files are worth a thread.
const FILES_EACH: usize = 32;

/// Files of a folder and what they are to hold. The journal has them already.
#[derive(Clone, Copy)]
pub(super) struct Transaction<'a> {
    pub(super) folder: &'a Path,
    pub(super) files: &'a [FileChange],
}

impl Transaction<'_> {
    /// Those whose files do not hold what they are to hold before.
    ///
    /// # Errors
    /// When a file cannot be read or is not UTF-8.
    pub(super) fn changed_since(&self) -> Result<Vec<PathBuf>, TagsError> {
        let changed = |file: &FileChange| -> Result<Option<PathBuf>, TagsError> {
            let path = path_of(self.folder, &file.path)?;
            Ok((read(&path)? != file.before).then_some(path))
        };
        let changed = self.files.par_iter().map(changed);
        let changed: Vec<Option<PathBuf>> = changed.collect::<Result<_, TagsError>>()?;
        Ok(changed.into_iter().flatten().collect())
    }

    /// Writes all files, several at a time, each whole or not at all.
    ///
    /// # Errors
    /// When a file cannot be written, or `on_step` breaks: some are written then and others are not.
    pub(super) fn write(
        &self,
        on_step: &(dyn Fn(EditStep) -> ControlFlow<()> + Sync),
    ) -> Result<(), TagsError> {
        let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let failed = Mutex::new(None);
        let ends = AtomicBool::new(false);
        let work = || {
            while !ends.load(Ordering::Relaxed) {
                let Some(file) = self.files.get(next.fetch_add(1, Ordering::Relaxed)) else {
                    return;
                };
                let total = self.files.len();
                let written = self.put(&file.path, file.after.as_deref()).and_then(|()| {
                    let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                    match on_step(EditStep::Written { done, total }) {
                        ControlFlow::Continue(()) => Ok(()),
                        ControlFlow::Break(()) => Err(TagsError::Stopped),
                    }
                });
                if let Err(error) = written {
                    ends.store(true, Ordering::Relaxed);
                    let mut failed = failed
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                    failed.get_or_insert(error);
                }
            }
        };
        let threads = (self.files.len() / FILES_EACH).clamp(1, THREADS);
        thread::scope(|scope| {
            for _ in 1..threads {
                scope.spawn(work);
            }
            work();
        });
        let failed = failed
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        failed.map_or(Ok(()), Err)
    }

    /// Brings back what files held before, where they hold what they were to hold. Gives those that hold something else,
    /// which stay as they are.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(super) fn take_back(&self) -> Result<Vec<PathBuf>, TagsError> {
        let mut others = Vec::new();
        for file in self.files {
            let path = path_of(self.folder, &file.path)?;
            match read(&path) {
                Ok(now) if now == file.before => {}
                Ok(now) if now == file.after => self.put(&file.path, file.before.as_deref())?,
                _ => others.push(path),
            }
        }
        Ok(others)
    }

    fn put(&self, path: &str, text: Option<&str>) -> Result<(), TagsError> {
        let path = path_of(self.folder, path)?;
        let Some(text) = text else {
            return match remove(&path) {
                Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                    Err(TagsError::file(&path, cause))
                }
                _ => Ok(()),
            };
        };
        write_atomically(&path, |file| file.write_all(text.as_bytes()))?;
        Ok(())
    }
}

/// Removes a file so that it stays so after a power cut.
fn remove(path: &Path) -> io::Result<()> {
    fs::remove_file(path)?;
    match path.parent() {
        // Windows cannot open a folder and needs no such call.
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

/// What a file of a transaction holds.
pub(super) fn read(path: &Path) -> Result<Option<String>, TagsError> {
    read_if_there(path).map_err(|problem| TagsError::Captions {
        problems: vec![problem],
    })
}

/// The file that the journal names. A journal may have come from anywhere: it names nothing outside the folder, and no
/// hidden files.
///
/// # Errors
/// When it names another file.
pub(super) fn path_of(folder: &Path, below: &str) -> Result<PathBuf, TagsError> {
    let is_plain = |part: Component<'_>| match part {
        Component::Normal(name) => !name.as_encoded_bytes().starts_with(b"."),
        _ => false,
    };
    if below.is_empty() || !Path::new(below).components().all(is_plain) {
        let cause =
            io::Error::other("the journal names this file, which is none of the folder's captions");
        return Err(TagsError::file(Path::new(below), cause));
    }
    Ok(folder.join(below))
}

/// How the journal names a file.
///
/// # Errors
/// When its name is not Unicode.
pub(super) fn name_of(folder: &Path, path: &Path) -> Result<String, TagsError> {
    let below = path.strip_prefix(folder).unwrap_or(path);
    let parts: Option<Vec<&str>> = below.iter().map(|part| part.to_str()).collect();
    let parts = parts.ok_or_else(|| TagsError::NotUnicode { path: path.into() })?;
    Ok(parts.join("/"))
}
