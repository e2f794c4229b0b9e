use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    path::{Path, PathBuf},
};

use atomic_file::write_atomically;
use serde::de::IgnoredAny;

use super::{
    TagsError,
    journal_contents::{Contents, Deed},
    journal_line::{Act, Begin, FORMAT, FileChange, JournalLine, Outcome},
};

/// The journal's name; hidden files are no part of a dataset.
const FILE: &str = ".lora-tags.journal";

/// A journal of more bytes forgets its oldest edits, until half of that is left.
pub(super) const MOST_BYTES: u64 = 256 << 20;

/// No line that says that an edit has ended is longer.
const END_BYTES: u64 = 64;

/// What was done to the captions of a folder, with all texts before and after.
///
/// An edit's line is on the disk before the first caption is written, and the line that it is done comes after the last:
/// where that is missing, the edit was cut off. A line that is not whole was cut off itself, before any caption was written.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    contents: Contents,
}

impl Journal {
    /// Reads the journal of a folder; one that is not there is empty.
    ///
    /// # Errors
    /// When it cannot be read or followed.
    pub(super) fn open(folder: &Path) -> Result<Self, TagsError> {
        let path = folder.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(cause) => return Err(TagsError::file(&path, cause)),
        };
        let contents = Contents::read(&bytes).map_err(|(line, reason)| TagsError::Journal {
            path: path.clone(),
            line,
            reason,
        })?;
        Ok(Self { path, contents })
    }

    /// Whether an edit was cut off, or goes on just now.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub(super) fn is_unfinished(folder: &Path) -> Result<bool, TagsError> {
        Ok(Self::open(folder)?.contents.unfinished.is_some())
    }

    pub(super) fn done(&self) -> &[Deed] {
        &self.contents.done
    }

    pub(super) fn undone(&self) -> &[Deed] {
        &self.contents.undone
    }

    pub(super) fn unfinished(&self) -> Option<&Deed> {
        self.contents.unfinished.as_ref()
    }

    /// Writes that an edit begins; it is on the disk afterwards.
    ///
    /// # Errors
    /// When it cannot be written; then the journal is as before.
    pub(super) fn begin(
        &mut self,
        act: Act,
        time: u64,
        command: &str,
        files: &[FileChange],
    ) -> Result<(), TagsError> {
        self.append(&JournalLine::Begin(Begin {
            id: self.contents.last_id + 1,
            act,
            time,
            command: command.to_owned(),
            files: files.to_vec(),
        }))
    }

    /// Writes how the edit that began ended.
    ///
    /// # Errors
    /// When it cannot be written; then the edit counts as cut off.
    pub(super) fn end(&mut self, outcome: Outcome) -> Result<(), TagsError> {
        let id = self.contents.last_id;
        self.append(&JournalLine::End { id, outcome })
    }

    /// What a deed's line says of files.
    ///
    /// # Errors
    /// When it cannot be read, or names files that are not in the folder.
    pub(super) fn files(&self, deed: &Deed) -> Result<Vec<FileChange>, TagsError> {
        let line = self.line_at(&deed.place)?;
        match serde_json::from_slice(&line) {
            Ok(JournalLine::<FileChange>::Begin(begin)) => Ok(begin.files),
            _ => Err(self.changed_since()),
        }
    }

    /// Forgets all edits.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub(super) fn clear(&mut self) -> Result<(), TagsError> {
        match fs::remove_file(&self.path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                Err(TagsError::file(&self.path, cause))
            }
            _ => {
                self.contents = Contents::default();
                Ok(())
            }
        }
    }

    /// Forgets the oldest edits of a journal that is longer than `most` bytes, until half of that is left, and edits that
    /// could be redone.
    ///
    /// # Errors
    /// When it cannot be written anew.
    pub(super) fn shorten(&mut self, most: u64) -> Result<(), TagsError> {
        if self.contents.length <= most || self.contents.unfinished.is_some() {
            return Ok(());
        }
        let mut left = most / 2;
        let mut kept: Vec<&Deed> = Vec::new();
        for deed in self.contents.done.iter().rev() {
            let length = deed.place.end - deed.place.start + END_BYTES;
            let Some(rest) = left.checked_sub(length) else {
                break;
            };
            left = rest;
            kept.push(deed);
        }
        let mut lines = vec![JournalLine::Format(FORMAT)];
        for (id, deed) in (1..).zip(kept.into_iter().rev()) {
            lines.push(JournalLine::Begin(Begin {
                id,
                act: Act::Edit,
                time: deed.time,
                command: deed.command.clone(),
                files: self.files(deed)?,
            }));
            let outcome = Outcome::Done;
            lines.push(JournalLine::End { id, outcome });
        }
        let bytes: Vec<u8> = lines.iter().flat_map(line_of).collect();
        write_atomically(&self.path, |file| file.write_all(&bytes))?;
        self.contents = Contents::read(&bytes).map_err(|(line, reason)| TagsError::Journal {
            path: self.path.clone(),
            line,
            reason,
        })?;
        Ok(())
    }

    fn append(&mut self, line: &JournalLine) -> Result<(), TagsError> {
        let start = self.contents.length;
        let mut bytes = Vec::new();
        if start == 0 {
            bytes.extend(line_of(&JournalLine::Format(FORMAT)));
        }
        let place = start + bytes.len() as u64;
        bytes.extend(line_of(line));
        self.write(start, &bytes)
            .map_err(|cause| TagsError::file(&self.path, cause))?;
        let end = start + bytes.len() as u64;
        let taken = self.contents.take(head_of(line), place..end - 1);
        taken.map_err(|_| self.changed_since())?;
        self.contents.length = end;
        Ok(())
    }

    /// Writes `bytes` behind the whole lines, over what was cut off.
    fn write(&self, start: u64, bytes: &[u8]) -> io::Result<()> {
        let is_new = !self.path.exists();
        let mut file = OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(false)
            .open(&self.path)?;
        file.set_len(start)?;
        file.seek(SeekFrom::Start(start))?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            // Half a line would be taken for a line that was cut off; without it the journal is as before.
            let _ = file.set_len(start);
        }
        written?;
        if is_new && cfg!(unix) {
            let folder = self.path.parent().filter(|folder| *folder != Path::new(""));
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(())
    }

    fn line_at(&self, place: &Range<u64>) -> Result<Vec<u8>, TagsError> {
        let read = || {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::Start(place.start))?;
            let mut line = Vec::new();
            file.take(place.end - place.start).read_to_end(&mut line)?;
            io::Result::Ok(line)
        };
        read().map_err(|cause| TagsError::file(&self.path, cause))
    }

    fn changed_since(&self) -> TagsError {
        TagsError::Journal {
            path: self.path.clone(),
            line: 0,
            reason: "was changed by another program".to_owned(),
        }
    }
}

fn line_of(line: &JournalLine) -> Vec<u8> {
    // Strings and numbers only: there is nothing that JSON cannot say.
    let mut bytes = serde_json::to_vec(line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

fn head_of(line: &JournalLine) -> JournalLine<IgnoredAny> {
    match line {
        JournalLine::Format(format) => JournalLine::Format(*format),
        JournalLine::Begin(begin) => JournalLine::Begin(Begin {
            id: begin.id,
            act: begin.act,
            time: begin.time,
            command: begin.command.clone(),
            files: vec![IgnoredAny; begin.files.len()],
        }),
        JournalLine::End { id, outcome } => JournalLine::End {
            id: *id,
            outcome: *outcome,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Vec<FileChange> {
        vec![FileChange {
            path: "a.txt".to_owned(),
            before: None,
            after: Some(text.repeat(100)),
        }]
    }

    #[test]
    fn a_long_journal_forgets_the_oldest_and_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path()).unwrap();
        for text in ["0", "1", "2", "3", "4", "5", "6", "7"] {
            journal.begin(Act::Edit, 9, text, &change(text)).unwrap();
            journal.end(Outcome::Done).unwrap();
        }
        let last = journal.done().last().cloned().unwrap();
        let inverse: Vec<FileChange> = change("7").into_iter().map(FileChange::inverse).collect();
        journal.begin(Act::Undo(last.id), 9, "7", &inverse).unwrap();
        journal.end(Outcome::Done).unwrap();
        let length = journal.contents.length;
        journal.shorten(length).unwrap();
        assert_eq!((journal.done().len(), journal.undone().len()), (7, 1));

        journal.shorten(length - 1).unwrap();
        assert!(journal.contents.length <= length / 2);
        let commands = |journal: &Journal| -> Vec<String> {
            journal
                .done()
                .iter()
                .map(|deed| deed.command.clone())
                .collect()
        };
        assert_eq!(commands(&journal), ["3", "4", "5", "6"]);
        assert!(journal.undone().is_empty());
        journal.begin(Act::Edit, 9, "8", &change("8")).unwrap();
        journal.end(Outcome::Done).unwrap();
        let read = Journal::open(folder.path()).unwrap();
        assert_eq!(commands(&read), ["3", "4", "5", "6", "8"]);
        for deed in read.done() {
            assert_eq!(read.files(deed).unwrap(), change(&deed.command));
        }
    }
}
