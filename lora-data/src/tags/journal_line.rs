use serde::{Deserialize, Serialize, de::IgnoredAny};

/// The only format so far.
pub(super) const FORMAT: u32 = 1;

/// A line of the journal: `{"format":1}`, `{"begin":{…}}` or `{"end":{…}}`. `F` is what is read of each file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum JournalLine<F = FileChange> {
    /// The first line.
    Format(u32),
    /// An edit, before any caption is written.
    Begin(Begin<F>),
    /// The edit before is at its end.
    End {
        /// Its number.
        id: u64,
        /// How.
        outcome: Outcome,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin<F = FileChange> {
    /// Counted from 1.
    pub(super) id: u64,
    pub(super) act: Act,
    /// Seconds since 1970.
    pub(super) time: u64,
    /// What the edit was called.
    pub(super) command: String,
    pub(super) files: Vec<F>,
}

/// Only counted.
pub(super) type BeginHead = Begin<IgnoredAny>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Act {
    Edit,
    /// Of the edit with this number.
    Undo(u64),
    Redo(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Done,
    /// All captions are as before it.
    TakenBack,
}

/// What a caption file holds before and after; null where there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileChange {
    /// Below the folder, with slashes.
    pub(super) path: String,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
}

impl FileChange {
    pub(super) fn inverse(self) -> Self {
        Self {
            path: self.path,
            before: self.after,
            after: self.before,
        }
    }
}
