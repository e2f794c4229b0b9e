use std::{
    collections::BTreeMap,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use atomic_file::write_atomically;

use super::FaceSetError;
use crate::parts_digest::parts_digest as digest;

/// The files made of one picture: what the last run wrote, what this one does, and what it must not touch.
pub(super) struct CropFiles<'a> {
    folder: &'a Path,
    /// Names and digests of the files of the last run.
    before: BTreeMap<String, String>,
    /// Names and digests of the files of this run.
    pub(super) now: BTreeMap<String, String>,
    /// Files that were left as they are, for they are not as the last run wrote them.
    pub(super) left: Vec<PathBuf>,
    /// Whether files that are not ours are replaced too.
    force: bool,
    /// Whether nothing is written.
    dry_run: bool,
}

/// What became of a file that was to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Put {
    /// It was written.
    Written,
    /// It was there with the same bytes.
    Same,
    /// Something else is there, and was left.
    Left,
}

impl<'a> CropFiles<'a> {
    pub(super) fn new(
        folder: &'a Path,
        before: BTreeMap<String, String>,
        force: bool,
        dry_run: bool,
    ) -> Self {
        Self {
            folder,
            before,
            now: BTreeMap::new(),
            left: Vec::new(),
            force,
            dry_run,
        }
    }

    /// Writes a file, unless it is there with these bytes, or with others that did not come from here.
    ///
    /// # Errors
    /// When the file that is there cannot be read, or the new one not written.
    pub(super) fn put(&mut self, name: &str, bytes: &[u8]) -> Result<Put, FaceSetError> {
        let path = self.folder.join(name);
        let wanted = digest(&[bytes]);
        let there = digest_of(&path)?;
        let is_ours = there.is_none() || self.force || there.as_ref() == self.before.get(name);
        let put = match there {
            Some(there) if there == wanted => Put::Same,
            _ if is_ours => Put::Written,
            _ => Put::Left,
        };
        match put {
            Put::Left => self.left.push(path),
            Put::Written if !self.dry_run => self.write(&path, bytes)?,
            Put::Written | Put::Same => {}
        }
        // What was left is not recorded as ours, except that it was: then the record still tells what we wrote.
        let recorded = match put {
            Put::Left => self.before.get(name).cloned(),
            _ => Some(wanted),
        };
        self.now
            .extend(recorded.map(|digest| (name.to_owned(), digest)));
        Ok(put)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), FaceSetError> {
        // Made late, so that pictures without faces leave no empty folder, which no dataset could have.
        fs::create_dir_all(self.folder).map_err(|cause| file_error(self.folder, cause))?;
        Ok(write_atomically(path, |file| file.write_all(bytes))?)
    }

    /// Removes the files of the last run that this one did not make, unless they were changed by hand; gives those
    /// removed.
    ///
    /// # Errors
    /// When a file cannot be read or removed.
    pub(super) fn remove_stale(&mut self) -> Result<Vec<PathBuf>, FaceSetError> {
        let stale = self
            .before
            .iter()
            .filter(|(name, _)| !self.now.contains_key(*name));
        let mut removed = Vec::new();
        for (name, digest) in stale {
            let path = self.folder.join(name);
            match digest_of(&path)? {
                None => {}
                Some(there) if there == *digest || self.force => {
                    if !self.dry_run {
                        fs::remove_file(&path).map_err(|cause| file_error(&path, cause))?;
                    }
                    removed.push(path);
                }
                Some(_) => self.left.push(path),
            }
        }
        Ok(removed)
    }
}

/// The digest of a file's bytes; none where there is no file.
fn digest_of(path: &Path) -> Result<Option<String>, FaceSetError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(digest(&[&bytes]))),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(file_error(path, cause)),
    }
}

fn file_error(path: &Path, cause: io::Error) -> FaceSetError {
    FaceSetError::File {
        path: path.into(),
        cause,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(folder: &Path, before: &[(&str, &str)]) -> CropFiles<'static> {
        let before = before
            .iter()
            .map(|(name, text)| ((*name).to_owned(), digest(&[text.as_bytes()])));
        let folder: &'static Path = Box::leak(folder.to_owned().into_boxed_path());
        CropFiles::new(folder, before.collect(), false, false)
    }

    #[test]
    fn only_what_the_last_run_wrote_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [
            ("ours", "1"),
            ("edited", "mine"),
            ("stranger", "theirs"),
            ("same", "new"),
        ] {
            fs::write(path(name), text).unwrap();
        }
        let mut files = files(folder.path(), &[("ours", "1"), ("edited", "1")]);
        for (name, put) in [
            ("ours", Put::Written),
            ("edited", Put::Left),
            ("stranger", Put::Left),
            ("same", Put::Same),
            ("absent", Put::Written),
        ] {
            assert_eq!(files.put(name, b"new").unwrap(), put, "{name}");
        }
        for (name, text) in [
            ("ours", "new"),
            ("edited", "mine"),
            ("stranger", "theirs"),
            ("absent", "new"),
        ] {
            assert_eq!(fs::read_to_string(path(name)).unwrap(), text);
        }
        assert_eq!(files.left, [path("edited"), path("stranger")]);
        let recorded: Vec<&str> = files.now.keys().map(String::as_str).collect();
        assert_eq!(recorded, ["absent", "edited", "ours", "same"]);
        assert_eq!(files.now["edited"], digest(&[b"1"]));
    }

    #[test]
    fn what_is_no_longer_made_is_removed_unless_it_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (name, text) in [("stale", "1"), ("edited", "mine"), ("made", "1")] {
            fs::write(path(name), text).unwrap();
        }
        let before = [
            ("stale", "1"),
            ("edited", "1"),
            ("made", "1"),
            ("gone", "1"),
        ];
        let mut files = files(folder.path(), &before);
        files.put("made", b"1").unwrap();
        assert_eq!(files.remove_stale().unwrap(), [path("stale")]);
        assert_eq!(files.left, [path("edited")]);
        assert!(!path("stale").exists() && path("edited").exists() && path("made").exists());
    }

    #[test]
    fn force_replaces_everything_and_a_dry_run_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stranger");
        fs::write(&path, "theirs").unwrap();
        let mut dry = CropFiles::new(folder.path(), BTreeMap::new(), true, true);
        assert_eq!(dry.put("stranger", b"new").unwrap(), Put::Written);
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        let mut forced = CropFiles::new(folder.path(), BTreeMap::new(), true, false);
        assert_eq!(forced.put("stranger", b"new").unwrap(), Put::Written);
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }
}
