use std::path::{Path, PathBuf};

use serde::Serialize;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Training would not show what is meant.
    Error,
    /// Probably not what is meant.
    Warning,
    /// Worth knowing.
    Info,
}

/// Something about a dataset that its owner should know before training.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The rule's name, by which it can be allowed.
    pub rule: &'static str,
    /// The file that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Finding {
    /// A finding about the whole dataset.
    pub fn new(severity: Severity, rule: &'static str, message: impl Into<String>) -> Self {
        Self {
            severity,
            rule,
            path: None,
            message: message.into(),
        }
    }

    /// The same about one file.
    pub fn about(self, path: &Path) -> Self {
        Self {
            path: Some(path.into()),
            ..self
        }
    }
}
