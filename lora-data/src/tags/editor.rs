use std::{
    collections::HashMap,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    CaptionOptions, CaptionSet, Changes, EditStep, HistoryEntry, TagsError,
    history::entries,
    journal::{Journal, MOST_BYTES},
    journal_contents::Deed,
    journal_line::{Act, FileChange, Outcome},
    transaction::{Transaction, name_of, path_of, read},
};

use crate::folder_lock::{FolderLock, LockError};

/// Edits the captions of a folder. As long as it lives, no other can be opened for the folder.
///
/// An edit is in the journal before it is in the captions. One that fails, is stopped or was cut off is taken back, so that
/// all of its captions are as before it; and what another program wrote in the meantime is never written over unasked.
#[derive(Debug)]
pub struct TagEditor {
    set: CaptionSet,
    journal: Journal,
    _lock: FolderLock,
}

/// The file that an editor holds.
const LOCK: &str = ".lora-tags.lock";

/// An edit that was written, undone or redone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// What the edit was called.
    pub command: String,
    /// How many files were changed.
    pub files: usize,
}

impl TagEditor {
    /// Opens a folder for editing; an edit that was cut off is taken back, which the set's notes tell.
    ///
    /// # Errors
    /// As [`CaptionSet::open`], and when another editor has the folder or the journal cannot be followed.
    pub fn open(folder: &Path, options: &CaptionOptions) -> Result<Self, TagsError> {
        options.check()?;
        // A folder without pictures gets no lock in it.
        CaptionSet::list(folder, options)?;
        let lock = FolderLock::take(folder, LOCK).map_err(|error| not_locked(folder, error))?;
        let mut journal = Journal::open(folder)?;
        let note = take_back_unfinished(folder, &mut journal)?;
        journal.shorten(MOST_BYTES)?;
        let mut set = CaptionSet::read(folder, options)?;
        if let Some(note) = note {
            set.add_note(note);
        }
        Ok(Self {
            set,
            journal,
            _lock: lock,
        })
    }

    /// The captions as they are now.
    pub fn set(&self) -> &CaptionSet {
        &self.set
    }

    /// The captions; from now on others may edit the folder.
    pub fn into_set(self) -> CaptionSet {
        self.set
    }

    /// Writes changes as one edit that is called `command`; `None` if there are none. `on_step` hears of each step, from
    /// several threads, and breaks to stop, after which all captions are as before.
    ///
    /// # Errors
    /// When a caption was changed since it was read, a file cannot be written, or it was stopped. All captions are as before
    /// then, unless [`TagsError::NotTakenBack`] says otherwise.
    pub fn apply(
        &mut self,
        changes: &Changes,
        command: &str,
        on_step: &(dyn Fn(EditStep) -> ControlFlow<()> + Sync),
    ) -> Result<Option<Applied>, TagsError> {
        if changes.is_empty() {
            return Ok(None);
        }
        let files: Result<Vec<FileChange>, TagsError> = changes
            .as_slice()
            .iter()
            .map(|change| {
                Ok(FileChange {
                    path: name_of(self.set.folder(), &change.file)?,
                    before: change.before.clone(),
                    after: change.after.clone(),
                })
            })
            .collect();
        let files = files?;
        self.refuse_changed(&files)?;
        self.transact(Act::Edit, command, files, on_step).map(Some)
    }

    /// Undoes the last edit that is not undone. With `force`, captions that were changed since are set back too, and redoing
    /// brings back what they hold now.
    ///
    /// # Errors
    /// As [`TagEditor::apply`], and when there is none.
    pub fn undo(
        &mut self,
        force: bool,
        on_step: &(dyn Fn(EditStep) -> ControlFlow<()> + Sync),
    ) -> Result<Applied, TagsError> {
        let Some(deed) = self.journal.done().last().cloned() else {
            return Err(TagsError::NothingToUndo {
                folder: self.set.folder().into(),
            });
        };
        self.invert(&deed, Act::Undo(deed.id), force, on_step)
    }

    /// Does the edit again that was undone last, as long as no other came after.
    ///
    /// # Errors
    /// As [`TagEditor::undo`].
    pub fn redo(
        &mut self,
        force: bool,
        on_step: &(dyn Fn(EditStep) -> ControlFlow<()> + Sync),
    ) -> Result<Applied, TagsError> {
        let Some(deed) = self.journal.undone().last().cloned() else {
            return Err(TagsError::NothingToRedo {
                folder: self.set.folder().into(),
            });
        };
        self.invert(&deed, Act::Redo(deed.id), force, on_step)
    }

    /// The edits that can be undone and redone, the oldest first.
    pub fn history(&self) -> Vec<HistoryEntry> {
        entries(&self.journal)
    }

    /// Forgets all edits: none can be undone afterwards.
    ///
    /// # Errors
    /// When the journal cannot be removed.
    pub fn clear_history(&mut self) -> Result<(), TagsError> {
        self.journal.clear()
    }

    fn invert(
        &mut self,
        deed: &Deed,
        act: Act,
        force: bool,
        on_step: &(dyn Fn(EditStep) -> ControlFlow<()> + Sync),
    ) -> Result<Applied, TagsError> {
        let files = self.journal.files(deed)?.into_iter();
        let mut files: Vec<FileChange> = files.map(FileChange::inverse).collect();
        if force {
            for file in &mut files {
                file.before = read(&path_of(self.set.folder(), &file.path)?)?;
            }
        } else {
            self.refuse_changed(&files)?;
        }
        self.transact(act, &deed.command, files, on_step)
    }

    fn refuse_changed(&self, files: &[FileChange]) -> Result<(), TagsError> {
        let folder = self.set.folder();
        let paths = Transaction { folder, files }.changed_since()?;
        if paths.is_empty() {
            Ok(())
        } else {
            Err(TagsError::Changed { paths })
        }
    }

    fn transact(
        &mut self,
        act: Act,
        command: &str,
        files: Vec<FileChange>,
        on_step: &(dyn Fn(EditStep) -> ControlFlow<()> + Sync),
    ) -> Result<Applied, TagsError> {
        let folder = self.set.folder().to_path_buf();
        self.journal.begin(act, now(), command, &files)?;
        let transaction = Transaction {
            folder: &folder,
            files: &files,
        };
        let begun = match on_step(EditStep::Recorded) {
            ControlFlow::Continue(()) => transaction.write(on_step),
            ControlFlow::Break(()) => Err(TagsError::Stopped),
        };
        let ended = begun.and_then(|()| self.journal.end(Outcome::Done));
        if let Err(cause) = ended {
            let again = transaction
                .take_back()
                .and_then(|_| self.journal.end(Outcome::TakenBack));
            return Err(match again {
                Ok(()) => cause,
                Err(again) => TagsError::NotTakenBack {
                    cause: Box::new(cause),
                    again: Box::new(again),
                },
            });
        }
        let count = files.len();
        let texts: HashMap<PathBuf, Option<String>> = files
            .into_iter()
            .map(|file| (folder.join(&file.path), file.after))
            .collect();
        self.set.take_over(&texts);
        // It is done; there is nothing left to stop.
        let _ = on_step(EditStep::Finished);
        Ok(Applied {
            command: command.to_owned(),
            files: count,
        })
    }
}

fn not_locked(folder: &Path, error: LockError) -> TagsError {
    match error {
        LockError::Held(by) => TagsError::Locked {
            folder: folder.into(),
            by,
        },
        LockError::File(path, cause) => TagsError::file(&path, cause),
    }
}

/// Takes back an edit that was cut off, and says so.
fn take_back_unfinished(folder: &Path, journal: &mut Journal) -> Result<Option<String>, TagsError> {
    let Some(deed) = journal.unfinished().cloned() else {
        return Ok(None);
    };
    let files = journal.files(&deed)?;
    let others = Transaction {
        folder,
        files: &files,
    }
    .take_back()?;
    journal.end(Outcome::TakenBack)?;
    let names: Vec<String> = others
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    let but = if names.is_empty() {
        String::new()
    } else {
        let names = names.join(", ");
        format!("\nthese were changed by another program since and stay as they are: {names}")
    };
    let note = format!(
        "{}: an edit was cut off and has been taken back, all captions are as before it: {}{but}",
        folder.display(),
        deed.command
    );
    Ok(Some(note))
}

/// Seconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
