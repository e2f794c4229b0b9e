use std::{
    fs, io,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use serde::Serialize;

use super::{
    CacheError, DiskCache, Entry, EntryFault,
    check::{Found, What},
};

/// A file that a writer left unfinished is taken for abandoned after this time.
const ABANDONED: Duration = Duration::from_hours(1);

/// What to remove, beside damaged entries and what writers abandoned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PruneConfig {
    /// Entries that were not used for so long.
    pub unused: Option<Duration>,
    /// As many of those unused for longest as it takes to have so many bytes at most.
    pub most_bytes: Option<u64>,
    /// All entries.
    pub all: bool,
    /// Tell what would be removed, and remove nothing.
    pub dry_run: bool,
}

/// What was removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pruned {
    /// The files.
    pub removed: Vec<PathBuf>,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Entries that stay.
    pub kept: usize,
    /// Their bytes.
    pub kept_bytes: u64,
}

impl DiskCache {
    /// Removes entries. Only files that are entries by name and place are touched, and what writers of such files
    /// abandoned; a run that goes on meanwhile computes anew what it misses.
    ///
    /// # Errors
    /// A folder cannot be listed or a file not removed.
    pub fn prune(&self, config: &PruneConfig) -> Result<Pruned, CacheError> {
        let now = SystemTime::now();
        let unused = |file: &Found| now.duration_since(file.used).unwrap_or_default();
        let mut pruned = Pruned::default();
        let mut entries = Vec::new();
        let mut doomed = Vec::new();
        for file in self.files()? {
            match file.what {
                What::Foreign => {}
                What::Unfinished if unused(&file) < ABANDONED => {}
                What::Unfinished => doomed.push(file),
                What::Entry(kind) => match Entry::read_named(&file.path, kind) {
                    Ok(_) => entries.push(file),
                    Err(EntryFault::Absent) => {}
                    Err(EntryFault::Damaged(_)) => doomed.push(file),
                },
            }
        }
        // Those used last come first, and stay first.
        entries.sort_by(|a, b| b.used.cmp(&a.used).then_with(|| a.path.cmp(&b.path)));
        let mut full = config.all;
        for file in entries {
            let too_old = config.unused.is_some_and(|most| unused(&file) >= most);
            full |= config
                .most_bytes
                .is_some_and(|most| pruned.kept_bytes + file.bytes > most);
            if full || too_old {
                doomed.push(file);
            } else {
                pruned.kept += 1;
                pruned.kept_bytes += file.bytes;
            }
        }
        for file in doomed {
            if !config.dry_run {
                remove(&file)?;
            }
            pruned.removed_bytes += file.bytes;
            pruned.removed.push(file.path);
        }
        Ok(pruned)
    }
}

fn remove(file: &Found) -> Result<(), CacheError> {
    match fs::remove_file(&file.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(CacheError::io(&file.path, error))
        }
        _ => Ok(()),
    }
}
