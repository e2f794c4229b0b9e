use std::path::PathBuf;

use super::Caption;
use crate::caption_text::CaptionText;

/// What an edit would do to the files of a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    pub(super) changes: Vec<Change>,
}

/// What an edit would do to one caption file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The picture's path below the folder, with slashes.
    pub name: String,
    /// The caption's file.
    pub file: PathBuf,
    /// What it holds, if it is there.
    pub before: Option<String>,
    /// What it would hold.
    pub after: Option<String>,
}

impl Changes {
    /// File by file, those alone that change.
    pub fn as_slice(&self) -> &[Change] {
        &self.changes
    }

    /// How many files change.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Change {
    pub(super) fn new(caption: &Caption, after: String) -> Option<Self> {
        let before = caption.text().map(str::to_owned);
        let changes = before.as_ref() != Some(&after) && !(before.is_none() && after.is_empty());
        changes.then(|| Self {
            name: caption.name().to_owned(),
            file: caption.file().into(),
            before,
            after: Some(after),
        })
    }

    /// The caption before, as training reads it.
    pub fn caption_before(&self) -> String {
        caption_of(self.before.as_deref())
    }

    /// The caption afterwards.
    pub fn caption_after(&self) -> String {
        caption_of(self.after.as_deref())
    }
}

fn caption_of(text: Option<&str>) -> String {
    CaptionText::parse(text.unwrap_or_default()).caption
}
