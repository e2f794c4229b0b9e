use std::{
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use atomic_file::TEMPORARY_PREFIX;
use serde::Serialize;

use super::{CacheError, DiskCache, Entry, EntryFault, Kind};
use crate::Flow;

/// What a cache holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheCheck {
    /// Latents.
    pub latents: KindCount,
    /// Text states.
    pub text: KindCount,
    /// Files that are not what their name says, by path.
    pub damaged: Vec<CacheFault>,
    /// Files that a writer left unfinished.
    pub unfinished: Vec<PathBuf>,
    /// Files that are none of the cache's. Nothing ever touches them.
    pub foreign: Vec<PathBuf>,
    /// Whether all files were looked at.
    pub complete: bool,
}

/// Sound entries of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// How many.
    pub entries: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// A file that is not what its name says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CacheFault {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it; names the file.
    pub reason: String,
}

/// A file below a cache's folder.
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) what: What,
    pub(super) bytes: u64,
    /// When it was last used.
    pub(super) used: SystemTime,
}

/// What a file is by its name and place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Entry(Kind),
    Unfinished,
    Foreign,
}

impl DiskCache {
    /// Reads all entries and tells which are sound; `told` hears of each file and may end it.
    ///
    /// # Errors
    /// A folder of the cache cannot be listed.
    pub fn check(
        &self,
        mut told: impl FnMut(usize, usize) -> Flow,
    ) -> Result<CacheCheck, CacheError> {
        let files = self.files()?;
        let mut check = CacheCheck::default();
        for (index, file) in files.iter().enumerate() {
            if told(index, files.len()).is_break() {
                return Ok(check);
            }
            match file.what {
                What::Entry(kind) => check.entry(file, kind),
                What::Unfinished => check.unfinished.push(file.path.clone()),
                What::Foreign => check.foreign.push(file.path.clone()),
            }
        }
        check.complete = true;
        Ok(check)
    }

    /// All files below the folder, by path; the tag and what is deeper than entries are left out.
    pub(super) fn files(&self) -> Result<Vec<Found>, CacheError> {
        let mut files = Vec::new();
        for kind in Kind::ALL {
            let folder = self.folder.join(kind.name());
            for shard in listed(&folder)? {
                if !shard.is_dir() {
                    files.extend(found(shard, What::Foreign));
                    continue;
                }
                for path in listed(&shard)? {
                    let what = what(&path, &shard, kind);
                    files.extend(found(path, what));
                }
            }
        }
        Ok(files)
    }
}

impl CacheCheck {
    fn entry(&mut self, file: &Found, kind: Kind) {
        match Entry::read_named(&file.path, kind) {
            Ok(_) => {
                let count = match kind {
                    Kind::Latents => &mut self.latents,
                    Kind::Text => &mut self.text,
                };
                count.entries += 1;
                count.bytes += file.bytes;
            }
            // Removed by another program meanwhile.
            Err(EntryFault::Absent) => {}
            Err(EntryFault::Damaged(reason)) => self.damaged.push(CacheFault {
                path: file.path.clone(),
                reason,
            }),
        }
    }
}

/// The paths in a folder, in order; none where there is no such folder.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, CacheError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder)?;
        let mut paths = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    match list() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(|source| CacheError::io(folder, source)),
    }
}

/// `None` where it has gone meanwhile.
fn found(path: PathBuf, what: What) -> Option<Found> {
    // Links are not followed: an entry is a file.
    let metadata = fs::symlink_metadata(&path).ok()?;
    let what = if metadata.is_file() {
        what
    } else {
        What::Foreign
    };
    Some(Found {
        path,
        what,
        bytes: metadata.len(),
        used: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
    })
}

fn what(path: &Path, shard: &Path, kind: Kind) -> What {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let shard = shard
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if name.starts_with(TEMPORARY_PREFIX) {
        return What::Unfinished;
    }
    let is_key = |key: &str| {
        key.len() == 64
            && key
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    match name.strip_suffix(".safetensors") {
        Some(key) if is_key(key) && key.starts_with(shard) && shard.len() == 2 => What::Entry(kind),
        _ => What::Foreign,
    }
}
