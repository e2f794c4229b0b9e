use std::path::{Path, PathBuf};

use crate::Problem;

/// How many names a note spells out before it counts the others.
const NAMES_SHOWN: usize = 3;

/// What opening a dataset has found so far: what was inferred, and what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) notes: Vec<String>,
    pub(crate) problems: Vec<Problem>,
}

impl Findings {
    /// Notes something about a file or folder.
    pub(crate) fn note(&mut self, path: &Path, text: impl AsRef<str>) {
        self.notes
            .push(format!("{}: {}", path.display(), text.as_ref()));
    }

    /// Notes something about several things in a folder, unless there are none; their names follow `text`.
    pub(crate) fn note_names(&mut self, folder: &Path, text: &str, names: &[String]) {
        if !names.is_empty() {
            self.note(folder, format!("{text}: {}", name_some(names)));
        }
    }
}

/// The last part of each path, for notes that already name the folder.
pub(crate) fn file_names<'a>(paths: impl IntoIterator<Item = &'a PathBuf>) -> Vec<String> {
    paths.into_iter().map(|path| file_name(path)).collect()
}

/// The last part of a path as text; characters that are not Unicode are replaced.
pub(crate) fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn name_some(names: &[String]) -> String {
    match names.split_at_checked(NAMES_SHOWN) {
        Some((shown, rest)) if !rest.is_empty() => {
            format!("{} and {} more", shown.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_of_names_are_cut() {
        let names = ["a", "b", "c", "d", "e"].map(String::from);
        assert_eq!(name_some(&names), "a, b, c and 2 more");
        assert_eq!(name_some(&names[..3]), "a, b, c");
    }
}
