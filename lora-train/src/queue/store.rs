use std::{
    fs,
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
};

use atomic_file::{TEMPORARY_PREFIX, WriteError, write_atomically};
use lora_data::{FolderLock, LockError};

use super::{EntryState, EntryStatus, NewEntry, QueueEntry, QueueError, entry::sha256_of};
use crate::{DeviceChoice, Plan, RunFolder, facts::now};

/// Held while entries are changed, which takes no longer than writing a small file.
const LOCK: &str = ".queue.lock";
/// What the names of entries end with.
const EXTENSION: &str = "toml";

/// A folder with runs that wait for their turn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    folder: PathBuf,
}

impl Queue {
    /// The queue in a folder, which is made where it is not there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, QueueError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|source| write_error(&folder, source))?;
        Ok(Self { folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All entries in their order.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn entries(&self) -> Result<Vec<QueueEntry>, QueueError> {
        let read_error = |source| QueueError::Read {
            path: self.folder.clone(),
            source,
        };
        let mut entries = Vec::new();
        for file in fs::read_dir(&self.folder).map_err(read_error)? {
            let path = file.map_err(read_error)?.path();
            if let Some(number) = number_of(&path)
                && let Some(entry) = self.read(number)?
            {
                entries.push(entry);
            }
        }
        entries.sort_by_key(|entry| entry.number);
        Ok(entries)
    }

    /// How an entry stands now.
    pub fn status(&self, entry: &QueueEntry) -> EntryStatus {
        match &entry.state {
            EntryState::Waiting => EntryStatus::Waiting,
            EntryState::Stopped { .. } => EntryStatus::Stopped,
            EntryState::Done { .. } => EntryStatus::Done,
            EntryState::Failed { .. } => EntryStatus::Failed,
            EntryState::Running { .. } => {
                // A program that was killed has let its lock go.
                match FolderLock::holder(&self.folder, &entry_lock(entry.number)) {
                    Some(_) => EntryStatus::Running,
                    None => EntryStatus::Interrupted,
                }
            }
        }
    }

    /// Adds runs at the end, all or none of them; gives the entries.
    ///
    /// # Errors
    /// Settings that do not work; a folder that is another entry's, another run's, or holds an earlier run's files.
    pub fn add(&self, runs: Vec<NewEntry>) -> Result<Vec<QueueEntry>, QueueError> {
        let _lock = self.lock()?;
        let entries = self.entries()?;
        let first = self.next_number(&entries);
        let mut added: Vec<QueueEntry> = Vec::new();
        for (number, run) in (first..).zip(runs) {
            let entry = fresh(number, run)?;
            let pending = entries
                .iter()
                .filter(|other| !matches!(self.status(other), EntryStatus::Done));
            let others = pending.chain(&added);
            let mut others = others.filter(|other| other.folder() == entry.folder());
            if let Some(other) = others.next() {
                return Err(QueueError::SameFolder {
                    run_file: entry.run_file.clone(),
                    number: other.number,
                    folder: entry.folder().to_path_buf(),
                });
            }
            added.push(entry);
        }
        for entry in &added {
            self.write(entry)?;
        }
        Ok(added)
    }

    /// Takes entries out; run folders stay as they are.
    ///
    /// # Errors
    /// A number that is not there, or of an entry that is being trained; then all stay.
    pub fn remove(&self, numbers: &[u64]) -> Result<(), QueueError> {
        let _lock = self.lock()?;
        for &number in numbers {
            let entry = self.existing(number)?;
            if self.status(&entry) == EntryStatus::Running {
                return Err(QueueError::IsRunning { number });
            }
        }
        numbers
            .iter()
            .try_for_each(|number| self.remove_file(*number))
    }

    /// Takes out all entries that are done, or where `all` is asked for all that are not being trained; gives their numbers.
    ///
    /// # Errors
    /// A file that cannot be removed.
    pub fn clear(&self, all: bool) -> Result<Vec<u64>, QueueError> {
        let _lock = self.lock()?;
        let entries = self.entries()?.into_iter();
        let gone = entries.filter(|entry| match self.status(entry) {
            EntryStatus::Done => true,
            status => all && status != EntryStatus::Running,
        });
        let numbers: Vec<u64> = gone.map(|entry| entry.number).collect();
        numbers
            .iter()
            .try_for_each(|number| self.remove_file(*number))?;
        Ok(numbers)
    }

    /// Lets entries that failed wait for their turn again, all of them where no number is given; gives their numbers. Those
    /// that had begun go on from their newest checkpoint.
    ///
    /// # Errors
    /// A number that is not there, or of an entry that has not failed; then all stay.
    pub fn retry(&self, numbers: &[u64]) -> Result<Vec<u64>, QueueError> {
        let _lock = self.lock()?;
        let entries = if numbers.is_empty() {
            let has_failed = |entry: &QueueEntry| self.status(entry) == EntryStatus::Failed;
            self.entries()?.into_iter().filter(has_failed).collect()
        } else {
            let named = numbers.iter().map(|&number| self.existing(number));
            named.collect::<Result<Vec<_>, _>>()?
        };
        for entry in &entries {
            let status = self.status(entry);
            if status != EntryStatus::Failed {
                return Err(QueueError::NotFailed {
                    number: entry.number,
                    status: status.name(),
                });
            }
        }
        for mut entry in entries.clone() {
            entry.state = EntryState::Waiting;
            self.write(&entry)?;
        }
        Ok(entries.iter().map(|entry| entry.number).collect())
    }

    /// The first entry whose turn can come and that `takes` takes, put down as running on the device that it gives, with the
    /// lock that tells others so.
    pub(super) fn claim(
        &self,
        mut takes: impl FnMut(&QueueEntry) -> Option<DeviceChoice>,
    ) -> Result<Option<(QueueEntry, FolderLock)>, QueueError> {
        let _lock = self.lock()?;
        for mut entry in self.entries()? {
            if !self.status(&entry).is_ready() {
                continue;
            }
            let Some(device) = takes(&entry) else {
                continue;
            };
            let lock = match FolderLock::take(&self.folder, &entry_lock(entry.number)) {
                Ok(lock) => lock,
                // Its last state was put down, and its program is not gone yet.
                Err(LockError::Held(_)) => continue,
                Err(LockError::File(path, source)) => return Err(write_error(&path, source)),
            };
            entry.state = EntryState::Running {
                device,
                process: std::process::id(),
                since: now(),
            };
            self.write(&entry)?;
            return Ok(Some((entry, lock)));
        }
        Ok(None)
    }

    /// Holds the entries, for a moment, and removes what a killed program left half written.
    fn lock(&self) -> Result<FolderLock, QueueError> {
        let lock = FolderLock::wait(&self.folder, LOCK).map_err(|error| match error {
            LockError::File(path, source) => write_error(&path, source),
            LockError::Held(_) => write_error(&self.folder, ErrorKind::WouldBlock.into()),
        })?;
        for file in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = file.file_name();
            if name.to_string_lossy().starts_with(TEMPORARY_PREFIX) {
                let path = file.path();
                fs::remove_file(&path).map_err(|source| write_error(&path, source))?;
            }
        }
        Ok(lock)
    }

    /// Puts down how an entry stands now; one that was taken out meanwhile stays out.
    pub(super) fn put_down(&self, entry: &QueueEntry) -> Result<(), QueueError> {
        let _lock = self.lock()?;
        match self.read(entry.number)? {
            Some(_) => self.write(entry),
            None => Ok(()),
        }
    }

    fn next_number(&self, entries: &[QueueEntry]) -> u64 {
        // Not to give a number twice whose entry is gone, the last one is kept beside the entries.
        let path = self.folder.join(".last");
        let kept = fs::read_to_string(path).ok();
        let kept = kept.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let there = entries.last().map_or(0, |entry| entry.number);
        kept.max(there) + 1
    }

    fn existing(&self, number: u64) -> Result<QueueEntry, QueueError> {
        self.read(number)?.ok_or(QueueError::NoSuchEntry { number })
    }

    fn read(&self, number: u64) -> Result<Option<QueueEntry>, QueueError> {
        let path = self.path(number);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(QueueError::Read { path, source }),
        };
        let entry: QueueEntry = toml::from_str(&text).map_err(|error| QueueError::Unreadable {
            path,
            reason: error.message().to_owned(),
        })?;
        Ok(Some(QueueEntry { number, ..entry }))
    }

    fn write(&self, entry: &QueueEntry) -> Result<(), QueueError> {
        let path = self.path(entry.number);
        let text = toml::to_string_pretty(entry)
            .map_err(|error| write_error(&path, io::Error::other(error)))?;
        write_atomically(&path, |file| file.write_all(text.as_bytes()))?;
        Ok(())
    }

    fn remove_file(&self, number: u64) -> Result<(), QueueError> {
        let last = self.folder.join(".last");
        let kept = fs::read_to_string(&last).unwrap_or_default();
        if kept.trim().parse().unwrap_or(0) < number {
            write_atomically(&last, |file| writeln!(file, "{number}"))?;
        }
        for path in [self.path(number), self.folder.join(entry_lock(number))] {
            match fs::remove_file(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(source) => return Err(write_error(&path, source)),
            }
        }
        Ok(())
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.{EXTENSION}"))
    }
}

/// The entry that a run becomes, if it could start as it is.
fn fresh(number: u64, run: NewEntry) -> Result<QueueEntry, QueueError> {
    let NewEntry {
        run_file,
        config,
        resume,
    } = run;
    // A working directory that is gone leaves it as it is.
    let run_file = std::path::absolute(&run_file).unwrap_or(run_file);
    let config = config.absolute();
    let of_plan = |source| QueueError::Plan {
        run_file: run_file.clone(),
        source,
    };
    Plan::check(&config).map_err(of_plan)?;
    if !resume {
        let of_folder = |source| QueueError::Folder {
            run_file: run_file.clone(),
            source,
        };
        RunFolder::check(&config).map_err(of_folder)?;
    }
    Ok(QueueEntry {
        number,
        sha256: sha256_of(&run_file).unwrap_or_default(),
        run_file,
        added_at: now(),
        begun: resume,
        state: EntryState::Waiting,
        config,
    })
}

fn number_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    let digits = name.strip_suffix(EXTENSION)?.strip_suffix('.')?;
    digits.parse().ok()
}

/// Held by the program that trains the entry.
fn entry_lock(number: u64) -> String {
    format!(".{number:06}.lock")
}

fn write_error(path: &Path, source: io::Error) -> QueueError {
    QueueError::Write(WriteError {
        path: path.to_path_buf(),
        source,
    })
}
