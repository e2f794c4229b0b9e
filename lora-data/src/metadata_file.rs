//! kohya's metadata files: captions and tags of pictures in one JSON (`FineTuningDataset`), or one JSON object a line.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    Entry, Problem, Resolution,
    findings::{Findings, file_name},
    folder_listing::PICTURES,
    group::Group,
};

/// What is told of one picture; sizes and whatever else other tools add are not looked at.
#[derive(Debug, Default, Deserialize)]
struct Facts {
    caption: Option<String>,
    tags: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    image_path: String,
    #[serde(flatten)]
    facts: Facts,
}

/// The pictures that the file at `path` names, in the order of their names.
pub(crate) fn entries(
    path: &Path,
    group: &Group,
    subset: usize,
    findings: &mut Findings,
) -> Vec<Entry> {
    let pictures = match read(path) {
        Ok(pictures) => pictures,
        Err(problem) => {
            findings.problems.push(problem);
            return Vec::new();
        }
    };
    if pictures.is_empty() {
        findings
            .problems
            .push(refused(path, "it names no pictures"));
    }
    let repeats = group.repeats.unwrap_or(1);
    if repeats == 0 {
        findings
            .problems
            .push(Problem::ZeroRepeats { path: path.into() });
    }
    findings.note(
        path,
        format!("{} pictures × {repeats} (kohya's metadata)", pictures.len()),
    );
    let mut entries = Vec::new();
    for (key, facts) in pictures {
        let Some(image) = find(&group.path, &key) else {
            let reason = format!(
                "`{key}` is no picture in {}; absolute names are taken as they are",
                group.path.display()
            );
            findings.problems.push(refused(path, &reason));
            continue;
        };
        let caption = caption(&facts, group);
        if caption.is_empty() && !group.rules.caption.allow_missing {
            let reason =
                format!("`{key}` has neither caption nor tags; or set caption.allow_missing");
            findings.problems.push(refused(path, &reason));
        }
        entries.push(Entry {
            image,
            caption,
            folder: file_name(path),
            repeats,
            size: (0, 0),
            target: Resolution::default(),
            subset,
        });
    }
    entries
}

fn read(path: &Path) -> Result<BTreeMap<String, Facts>, Problem> {
    let text = fs::read_to_string(path).map_err(|cause| Problem::Folder {
        path: path.into(),
        cause,
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    if !path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("jsonl"))
    {
        return serde_json::from_str(text).map_err(|error| refused(path, &error.to_string()));
    }
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(line, _)| !line.trim().is_empty());
    lines
        .map(|(line, number)| {
            serde_json::from_str(line)
                .map(|Line { image_path, facts }| (image_path, facts))
                .map_err(|error| refused(path, &format!("line {number}: {error}")))
        })
        .collect()
}

/// The picture of a key: with its extension, or without as in old files.
fn find(folder: &Path, key: &str) -> Option<PathBuf> {
    let path = folder.join(key);
    if path.is_file() {
        return Some(path);
    }
    PICTURES
        .iter()
        .map(|extension| {
            let mut name = path.clone().into_os_string();
            name.push(format!(".{extension}"));
            PathBuf::from(name)
        })
        .find(|path| path.is_file())
}

/// Caption and tags, with a separator between; with wildcards the tags go to each line.
fn caption(facts: &Facts, group: &Group) -> String {
    let rules = &group.rules.caption;
    let words = facts.caption.as_deref().unwrap_or_default();
    let tags = facts.tags.as_deref().unwrap_or_default();
    let join = |line: &str| match (line.is_empty(), tags.is_empty()) {
        (_, true) => line.to_owned(),
        (true, false) => tags.to_owned(),
        (false, false) => format!("{line}{}{tags}", rules.separator),
    };
    if !rules.wildcards {
        return join(words);
    }
    let tags = tags.replace('\n', &rules.separator);
    let join = |line: &str| {
        if tags.is_empty() {
            line.to_owned()
        } else {
            format!("{line}{}{tags}", rules.separator)
        }
    };
    let lines: Vec<String> = words
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(join)
        .collect();
    if lines.is_empty() {
        tags
    } else {
        lines.join("\n")
    }
}

fn refused(path: &Path, reason: &str) -> Problem {
    Problem::File {
        path: path.into(),
        reason: reason.to_owned(),
    }
}
