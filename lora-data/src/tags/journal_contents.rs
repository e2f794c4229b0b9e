use std::ops::Range;

use serde::de::IgnoredAny;

use super::journal_line::{Act, BeginHead, FORMAT, JournalLine, Outcome};

/// What the lines say, without the texts.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// Edits that can be undone, the last of which is the first to be.
    pub(super) done: Vec<Deed>,
    /// Edits that can be redone, the last of which is the first to be.
    pub(super) undone: Vec<Deed>,
    /// An edit without an end.
    pub(super) unfinished: Option<Deed>,
    pub(super) last_id: u64,
    /// Bytes of whole lines.
    pub(super) length: u64,
}

/// An edit that was done or undone last by the line at `place`.
#[derive(Clone, Debug)]
pub(super) struct Deed {
    /// The edit's number, whether or not the line is of an undo.
    pub(super) id: u64,
    pub(super) time: u64,
    pub(super) command: String,
    /// How many files the line changes.
    pub(super) files: usize,
    act: Act,
    pub(super) place: Range<u64>,
}

impl Contents {
    /// # Errors
    /// The line, counted from 1, that cannot be followed, and why.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, (usize, String)> {
        let mut contents = Self::default();
        let mut start = 0;
        let mut number = 0;
        while let Some(length) = bytes[start..].iter().position(|&byte| byte == b'\n') {
            number += 1;
            let end = start + length;
            let line: Result<JournalLine<IgnoredAny>, _> =
                serde_json::from_slice(&bytes[start..end]);
            match line {
                Ok(line) => contents
                    .take(line, start as u64..end as u64)
                    .map_err(|reason| (number, reason))?,
                // What a power cut can leave where the last line was to be.
                Err(_) if end + 1 == bytes.len() && number > 1 => break,
                Err(error) => return Err((number, format!("cannot be read: {error}"))),
            }
            start = end + 1;
            contents.length = start as u64;
        }
        Ok(contents)
    }

    /// # Errors
    /// Why the line does not follow from those before.
    pub(super) fn take(
        &mut self,
        line: JournalLine<IgnoredAny>,
        place: Range<u64>,
    ) -> Result<(), String> {
        match line {
            JournalLine::Format(FORMAT) => Ok(()),
            JournalLine::Format(other) => Err(format!(
                "is of format {other}, which a newer version of this program writes"
            )),
            JournalLine::Begin(begin) => self.begin(begin, place),
            JournalLine::End { id, outcome } => self.end(id, outcome),
        }
    }

    fn begin(&mut self, begin: BeginHead, place: Range<u64>) -> Result<(), String> {
        if self.unfinished.is_some() {
            return Err("an edit begins before the one before has ended".to_owned());
        }
        let last = |deeds: &[Deed]| deeds.last().map(|deed| deed.id);
        let follows = match begin.act {
            Act::Edit => true,
            Act::Undo(id) => last(&self.done) == Some(id),
            Act::Redo(id) => last(&self.undone) == Some(id),
        };
        if !follows {
            return Err("undoes or redoes another edit than the last".to_owned());
        }
        self.last_id = begin.id;
        self.unfinished = Some(Deed {
            id: match begin.act {
                Act::Edit => begin.id,
                Act::Undo(id) | Act::Redo(id) => id,
            },
            time: begin.time,
            command: begin.command,
            files: begin.files.len(),
            act: begin.act,
            place,
        });
        Ok(())
    }

    fn end(&mut self, id: u64, outcome: Outcome) -> Result<(), String> {
        let Some(deed) = self.unfinished.take().filter(|_| id == self.last_id) else {
            return Err("ends an edit that has not begun".to_owned());
        };
        if outcome == Outcome::TakenBack {
            return Ok(());
        }
        match deed.act {
            Act::Edit => {
                self.undone.clear();
                self.done.push(deed);
            }
            // Command and time stay those of the edit.
            Act::Undo(_) => {
                let edit = self.done.pop();
                self.undone.extend(edit.map(|edit| edit.last_by(deed)));
            }
            Act::Redo(_) => {
                let edit = self.undone.pop();
                self.done.extend(edit.map(|edit| edit.last_by(deed)));
            }
        }
        Ok(())
    }
}

impl Deed {
    fn last_by(self, line: Self) -> Self {
        Self {
            files: line.files,
            act: line.act,
            place: line.place,
            ..self
        }
    }
}
