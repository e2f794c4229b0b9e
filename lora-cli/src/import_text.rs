//! What became of another trainer's keys, in words.

use lora_train::import::{Fate, Import, ImportedKey};

/// A heading and a line for each key, those first that change the result.
pub(crate) fn lines(import: &Import) -> Vec<String> {
    let mut lines = Vec::new();
    let mut section = |heading: &str, line: &dyn Fn(&ImportedKey) -> Option<String>| {
        let found: Vec<String> = import.keys.iter().filter_map(line).collect();
        if !found.is_empty() {
            lines.push(format!("{heading} ({}):", found.len()));
            lines.extend(found.into_iter().map(|line| format!("  {line}")));
        }
    };
    section("unknown", &|key| match &key.fate {
        Fate::Unknown { meant } => {
            let meant = meant.as_ref().map(|name| format!(" (is {name} meant?)"));
            Some(format!("{}{}", said(key), meant.unwrap_or_default()))
        }
        _ => None,
    });
    section("not supported", &|key| match &key.fate {
        Fate::NotSupported { reason, instead } if instead.is_empty() => {
            Some(format!("{}: {reason}", said(key)))
        }
        Fate::NotSupported { reason, instead } => Some(format!(
            "{}: {reason}; instead {}",
            said(key),
            instead.join(", ")
        )),
        _ => None,
    });
    section("mapped", &|key| match &key.fate {
        Fate::Mapped { settings } => Some(format!("{} → {}", said(key), settings.join(", "))),
        _ => None,
    });
    section("not needed here", &|key| match &key.fate {
        Fate::NotNeeded { reason } => Some(format!("{}: {reason}", said(key))),
        _ => None,
    });
    lines.extend(import.notes.iter().map(|note| format!("note: {note}")));
    lines
}

fn said(key: &ImportedKey) -> String {
    format!("{} = {}", key.key, key.value)
}
