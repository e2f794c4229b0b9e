use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use atomic_file::{WriteError, write_atomically};
use serde::{Deserialize, Serialize};

/// The journal's name; hidden files are no part of a dataset.
const FILE: &str = ".lora-tag.json";
/// After how many pictures the journal is written anew: what a crash makes to be done again.
const EVERY: usize = 32;

/// Which pictures of a folder are done, while a run over it is not: how a run that was stopped goes on.
#[derive(Debug)]
pub(super) struct TagJournal {
    folder: PathBuf,
    contents: Contents,
    unsaved: usize,
}

#[derive(Debug, Serialize, Deserialize)]
struct Contents {
    /// Tagger and settings: another run starts from the beginning.
    settings: String,
    /// Paths below the folder.
    done: BTreeSet<String>,
}

impl TagJournal {
    /// What an unfinished run of the same settings left, or an empty journal.
    pub(super) fn open(folder: &Path, settings: String) -> Self {
        let left: Option<Contents> = fs::read(folder.join(FILE))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let contents = left
            .filter(|left| left.settings == settings)
            .unwrap_or(Contents {
                settings,
                done: BTreeSet::new(),
            });
        Self {
            folder: folder.into(),
            contents,
            unsaved: 0,
        }
    }

    pub(super) fn is_done(&self, picture: &Path) -> bool {
        self.name(picture)
            .is_some_and(|name| self.contents.done.contains(name))
    }

    /// # Errors
    /// When it is time to write the journal and that fails.
    pub(super) fn note_done(&mut self, picture: &Path) -> Result<(), WriteError> {
        // A name that is no Unicode cannot stand in JSON: that picture is done again.
        let Some(name) = self.name(picture).map(str::to_owned) else {
            return Ok(());
        };
        self.contents.done.insert(name);
        self.unsaved += 1;
        if self.unsaved >= EVERY {
            self.save()
        } else {
            Ok(())
        }
    }

    /// Writes what is not written yet.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(super) fn save(&mut self) -> Result<(), WriteError> {
        if self.unsaved > 0 {
            let bytes = serde_json::to_vec(&self.contents).unwrap_or_default();
            write_atomically(self.folder.join(FILE), |file| file.write_all(&bytes))?;
            self.unsaved = 0;
        }
        Ok(())
    }

    /// The run came to its end: nothing is left to go on with.
    pub(super) fn finish(self) {
        // It may never have been written; and if it stays, it only spares the same run its work.
        let _ = fs::remove_file(self.folder.join(FILE));
    }

    fn name<'a>(&self, picture: &'a Path) -> Option<&'a str> {
        picture.strip_prefix(&self.folder).ok()?.to_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loses_no_more_than_the_last_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let picture = |index: usize| folder.path().join(format!("{index} 狐.png"));
        let mut journal = TagJournal::open(folder.path(), "a".to_owned());
        for index in 0..EVERY + 5 {
            journal.note_done(&picture(index)).unwrap();
        }
        let left = TagJournal::open(folder.path(), "a".to_owned());
        assert!((0..EVERY).all(|index| left.is_done(&picture(index))));
        assert!(!left.is_done(&picture(EVERY)));
        let other = TagJournal::open(folder.path(), "b".to_owned());
        assert!(!other.is_done(&picture(0)));
    }

    #[test]
    fn a_journal_that_cannot_be_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "{\"settings\": \"a\"").unwrap();
        let journal = TagJournal::open(folder.path(), "a".to_owned());
        assert!(!journal.is_done(&folder.path().join("a.png")));
    }
}
