//! Lists of names in words.

use std::path::Path;

/// How many names a line spells out before it counts the others.
const NAMES_SHOWN: usize = 8;

/// `WORDS N UNITs: NAME, NAME and M more`; nothing where there are none.
pub(crate) fn named<'a>(
    words: &str,
    unit: &str,
    paths: impl Iterator<Item = &'a Path> + Clone,
) -> Option<String> {
    let count = paths.clone().count();
    let separator = if words.ends_with(':') { "" } else { ":" };
    (count > 0).then(|| {
        format!(
            "{words} {}{separator} {}",
            counted(count, unit),
            names(paths)
        )
    })
}

/// The names of the first files, and how many more there are.
pub(crate) fn names<'a>(paths: impl Iterator<Item = &'a Path>) -> String {
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or(path.as_os_str())
            .to_string_lossy()
            .into_owned()
    };
    let names: Vec<String> = paths.map(name).collect();
    match names.split_at_checked(NAMES_SHOWN) {
        Some((shown, rest)) if !rest.is_empty() => {
            format!("{} and {} more", shown.join(", "), rest.len())
        }
        _ => names.join(", "),
    }
}

/// `1 face`, `2 faces`.
pub(crate) fn counted(count: usize, unit: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}
