//! What an edit changes, line by line.

use lora_data::tags::{Change, Changes};
use serde::Serialize;

/// One caption file, for programs.
#[derive(Serialize)]
pub(super) struct ChangeDocument<'a> {
    picture: &'a str,
    file: String,
    /// All of the file, null where there is none.
    before: Option<&'a str>,
    after: Option<&'a str>,
}

pub(super) fn documents(changes: &Changes) -> Vec<ChangeDocument<'_>> {
    let document = |change| {
        let Change {
            name: picture,
            file,
            before,
            after,
        }: &Change = change;
        ChangeDocument {
            picture,
            file: file.display().to_string(),
            before: before.as_deref(),
            after: after.as_deref(),
        }
    };
    changes.as_slice().iter().map(document).collect()
}

/// For each picture its name, the lines that go and those that come.
pub(super) fn diff(changes: &Changes) -> String {
    let texts: Vec<String> = changes.as_slice().iter().map(one).collect();
    texts.join("\n")
}

fn one(change: &Change) -> String {
    let (before, after) = (
        lines(change.before.as_deref()),
        lines(change.after.as_deref()),
    );
    let same = |pair: &(&&str, &&str)| pair.0 == pair.1;
    let front = before.iter().zip(&after).take_while(same).count();
    let (before, after) = (&before[front..], &after[front..]);
    let back = before
        .iter()
        .rev()
        .zip(after.iter().rev())
        .take_while(same)
        .count();
    let goes = before[..before.len() - back]
        .iter()
        .map(|line| format!("- {line}").trim_end().to_owned());
    let comes = after[..after.len() - back]
        .iter()
        .map(|line| format!("+ {line}").trim_end().to_owned());
    let name = if change.before.is_none() {
        format!("{} (new caption file)", change.name)
    } else {
        change.name.clone()
    };
    [name]
        .into_iter()
        .chain(goes)
        .chain(comes)
        .collect::<Vec<_>>()
        .join("\n")
}

fn lines(text: Option<&str>) -> Vec<&str> {
    let text = text.unwrap_or_default();
    text.strip_prefix('\u{feff}')
        .unwrap_or(text)
        .lines()
        .collect()
}
