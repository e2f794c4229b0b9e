use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use atomic_file::write_atomically;

use super::{PrepareError, record::Record};
use crate::parts_digest::{file_hash, hexadecimal};

/// The files in the out folder: which are ours, and what must not be touched.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutFiles<'a> {
    pub(super) folder: &'a Path,
    pub(super) record: &'a Record,
    /// Whether files that are not ours, or were changed by hand, are replaced too.
    pub(super) force: bool,
    pub(super) dry_run: bool,
}

/// What is there where a file is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum There {
    Nothing,
    /// The very bytes.
    Same,
    /// Others that we wrote once.
    Ours,
    /// Others, where we wrote once: somebody changed them.
    Edited,
    /// Others, where we never wrote.
    Foreign,
}

impl OutFiles<'_> {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// # Errors
    /// When the file cannot be read.
    pub(super) fn there(&self, name: &str, wanted: &str) -> Result<There, PrepareError> {
        let path = self.path(name);
        let digest = match file_hash(&path) {
            Ok(hash) => hexadecimal(&hash),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
            Err(cause) => return Err(PrepareError::file(path, cause)),
        };
        Ok(match self.record.has_written(name, &digest) {
            _ if digest == wanted => There::Same,
            Some(true) => There::Ours,
            Some(false) => There::Edited,
            None => There::Foreign,
        })
    }

    /// Writes a file whole.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PrepareError> {
        if self.dry_run {
            return Ok(());
        }
        let path = self.path(name);
        let folder = path.parent().unwrap_or(self.folder);
        fs::create_dir_all(folder).map_err(|cause| PrepareError::file(folder, cause))?;
        Ok(write_atomically(path, |file| file.write_all(bytes))?)
    }

    /// Removes what was once made of a picture and is not in `now`; gives what was removed and what was left, for it was
    /// changed by hand.
    ///
    /// # Errors
    /// When a file cannot be read or removed.
    pub(super) fn remove_stale(
        &self,
        picture: &str,
        now: &BTreeMap<String, String>,
    ) -> Result<(Vec<String>, Vec<String>), PrepareError> {
        let (mut removed, mut left) = (Vec::new(), Vec::new());
        for name in self.record.files_of(picture) {
            if now.contains_key(&name) {
                continue;
            }
            match self.there(&name, "")? {
                There::Nothing => {}
                There::Edited if !self.force => left.push(name),
                _ => {
                    self.remove(&name)?;
                    removed.push(name);
                }
            }
        }
        Ok((removed, left))
    }

    /// The files made of pictures that are not among `sources` any more, and those of them that were removed, if they
    /// are to be pruned; what was changed by hand stays.
    ///
    /// # Errors
    /// When a file cannot be read or removed.
    pub(super) fn left_over(
        &self,
        sources: &BTreeSet<&str>,
        prune: bool,
    ) -> Result<(Vec<String>, Vec<String>), PrepareError> {
        let (live, gone): (Vec<String>, Vec<String>) = self
            .record
            .pictures()
            .into_iter()
            .partition(|picture| sources.contains(picture.as_str()));
        // Another picture of the same name may have taken over.
        let in_use: BTreeSet<String> = live
            .iter()
            .flat_map(|picture| self.record.files_of(picture))
            .collect();
        let (mut left, mut removed) = (Vec::new(), Vec::new());
        for name in gone
            .iter()
            .flat_map(|picture| self.record.files_of(picture))
        {
            if in_use.contains(&name) {
                continue;
            }
            match self.there(&name, "")? {
                There::Nothing => {}
                There::Ours if prune => {
                    self.remove(&name)?;
                    removed.push(name);
                }
                _ => left.push(name),
            }
        }
        Ok((left, removed))
    }

    fn remove(&self, name: &str) -> Result<(), PrepareError> {
        if self.dry_run {
            return Ok(());
        }
        let path = self.path(name);
        fs::remove_file(&path).map_err(|cause| PrepareError::file(path, cause))
    }
}
