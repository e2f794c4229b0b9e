use std::path::Path;

use serde::Serialize;

use super::{TagsError, journal::Journal, journal_contents::Deed};

/// An edit that can be undone or redone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryEntry {
    /// What it was called.
    pub command: String,
    /// When, in seconds since 1970.
    pub time: u64,
    /// How many files it changed.
    pub files: usize,
    /// Whether it is undone.
    pub undone: bool,
}

/// The edits of a folder that can be undone, the oldest first, and those that can be redone, the next to be redone first.
/// Nothing is locked or written.
///
/// # Errors
/// When the journal cannot be read or followed.
pub fn history(folder: &Path) -> Result<Vec<HistoryEntry>, TagsError> {
    Ok(entries(&Journal::open(folder)?))
}

pub(super) fn entries(journal: &Journal) -> Vec<HistoryEntry> {
    let entry = |deed: &Deed, undone| HistoryEntry {
        command: deed.command.clone(),
        time: deed.time,
        files: deed.files,
        undone,
    };
    let done = journal.done().iter().map(|deed| entry(deed, false));
    let undone = journal.undone().iter().rev();
    done.chain(undone.map(|deed| entry(deed, true))).collect()
}
