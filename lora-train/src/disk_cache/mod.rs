//! What frozen networks say about pictures and captions, kept on the disk from run to run.
//!
//! One file for each entry, `KIND/ab/HASH.safetensors` below the cache's folder. The name is a SHA-256 over everything
//! that the numbers depend on: the picture's pixels or the caption's tokens, the network's weights and config, number
//! format, device and the version of the arithmetic. So nothing is ever out of date: whatever changes has another name.
//! Files are written whole or not at all, and are what their name says whoever writes them; runs at the same time may
//! share a folder. Each carries a checksum; one that is damaged counts as absent and is written anew.

mod check;
mod entry;
mod error;
mod key;
mod latents;
mod prune;
mod texts;
mod use_count;

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::SystemTime,
};

use atomic_file::{TEMPORARY_PREFIX, WriteError, write_atomically};

pub use check::{CacheCheck, CacheFault, KindCount};
pub(crate) use entry::Entry;
use entry::EntryFault;
pub use error::CacheError;
pub(crate) use key::{Key, KeyMaker};
pub use latents::LatentStore;
pub use prune::{PruneConfig, Pruned};
pub use texts::TextStore;
pub use use_count::UseCount;

/// By this file backup programs know that a folder holds nothing of value (bford.info/cachedir).
const TAG_FILE: &str = "CACHEDIR.TAG";
const TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # What frozen networks said about pictures and captions; `lora cache` looks after it.\n";

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The VAE's mean and log-variance for a view of a picture.
    Latents,
    /// The text encoders' states for a caption.
    Text,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 2] = [Self::Latents, Self::Text];

    /// Its folder, and what its files say of themselves.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Latents => "latents",
            Self::Text => "text",
        }
    }
}

/// A folder of entries.
#[derive(Clone, Debug)]
pub struct DiskCache {
    folder: PathBuf,
}

impl DiskCache {
    /// The cache in `folder`, which is made if it is not there.
    ///
    /// # Errors
    /// The folder cannot be made or written to, or is there, is not empty and is no cache.
    pub fn create(folder: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let folder = folder.into();
        let at = |source| CacheError::io(&folder, source);
        fs::create_dir_all(&folder).map_err(at)?;
        if !is_tagged(&folder) {
            let empty = is_empty(&folder).map_err(at)?;
            // Asked once more: another program may have made the cache while the folder was looked through.
            if !empty && !is_tagged(&folder) {
                return Err(CacheError::Foreign { folder });
            }
            write_atomically(folder.join(TAG_FILE), |file| file.write_all(TAG.as_bytes()))?;
        }
        Ok(Self { folder })
    }

    /// The cache that is in `folder`.
    ///
    /// # Errors
    /// There is none.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, CacheError> {
        let folder = folder.into();
        if is_tagged(&folder) {
            return Ok(Self { folder });
        }
        Err(if folder.is_dir() {
            CacheError::Foreign { folder }
        } else {
            CacheError::Absent { folder }
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The entry of that name; `None` where there is none, or a damaged one.
    pub(crate) fn get(&self, kind: Kind, key: &Key) -> Option<Entry> {
        let path = self.path(kind, key);
        match Entry::read(&path, kind, key) {
            Ok(entry) => {
                touch(&path);
                Some(entry)
            }
            Err(EntryFault::Absent) => None,
            Err(EntryFault::Damaged(reason)) => {
                tracing::warn!("{reason}; it is computed anew");
                None
            }
        }
    }

    /// Keeps an entry.
    pub(crate) fn put(&self, kind: Kind, key: &Key, entry: &Entry) -> Result<(), CacheError> {
        let path = self.path(kind, key);
        if let Some(shard) = path.parent() {
            fs::create_dir_all(shard).map_err(|source| CacheError::io(shard, source))?;
        }
        let bytes = entry.to_bytes(kind, key).map_err(|reason| WriteError {
            path: path.clone(),
            source: io::Error::other(reason),
        })?;
        write_atomically(&path, |file| file.write_all(&bytes))?;
        Ok(())
    }

    fn path(&self, kind: Kind, key: &Key) -> PathBuf {
        let key = key.to_string();
        let shard = self.folder.join(kind.name()).join(&key[..2]);
        shard.join(format!("{key}.safetensors"))
    }
}

/// Whether there is nothing in a folder, but for a tag that is being written.
fn is_empty(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        if !name.to_string_lossy().starts_with(TEMPORARY_PREFIX) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_tagged(folder: &Path) -> bool {
    fs::read(folder.join(TAG_FILE)).is_ok_and(|tag| tag.starts_with(&TAG.as_bytes()[..43]))
}

/// Notes that an entry was used, by which pruning goes. A disk that may only be read is no reason to stop.
fn touch(path: &Path) {
    let file = File::options().append(true).open(path);
    let _ = file.and_then(|file| file.set_modified(SystemTime::now()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_other_things_does_not_become_a_cache() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("holiday.jpg"), "").unwrap();
        let error = DiskCache::create(folder.path()).unwrap_err().to_string();
        assert!(error.contains("is not a cache"), "{error}");
        assert!(DiskCache::open(folder.path()).is_err());
        assert!(!folder.path().join(TAG_FILE).exists());
        let inner = folder.path().join("cache");
        DiskCache::create(&inner).unwrap();
        DiskCache::create(&inner).unwrap();
        DiskCache::open(&inner).unwrap();
    }

    #[test]
    fn what_was_put_is_got_and_a_damaged_entry_is_absent() {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::create(folder.path()).unwrap();
        let key = KeyMaker::new("test").finish();
        assert!(cache.get(Kind::Text, &key).is_none());
        let entry = Entry::of_floats("states", &[1], &[1.5]);
        cache.put(Kind::Text, &key, &entry).unwrap();
        assert_eq!(cache.get(Kind::Text, &key), Some(entry.clone()));
        assert!(cache.get(Kind::Latents, &key).is_none());
        let path = cache.path(Kind::Text, &key);
        let whole = fs::read(&path).unwrap();
        // Every cut and every flipped bit is noticed.
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(cache.get(Kind::Text, &key).is_none(), "cut to {length}");
        }
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            fs::write(&path, &flipped).unwrap();
            let got = cache.get(Kind::Text, &key);
            assert!(
                got.is_none_or(|got| got == entry),
                "byte {at} was changed and gave other numbers"
            );
        }
    }
}
