use std::path::{Path, PathBuf};

use super::PrepareError;

/// Refuses an out folder that is the folder of pictures, lies in it, or holds it, however it is written.
///
/// # Errors
/// When it does.
pub(super) fn apart(input: &Path, output: &Path) -> Result<(), PrepareError> {
    let (real_input, real_output) = (real(input), real(output));
    let relation = if real_input == real_output {
        "is the same folder as"
    } else if real_output.starts_with(&real_input) {
        "lies in"
    } else if real_input.starts_with(&real_output) {
        "holds"
    } else {
        return Ok(());
    };
    Err(PrepareError::Nested {
        input: input.into(),
        output: output.into(),
        relation,
    })
}

/// The path without links and dots, also where its last parts are not there yet.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.into());
    for ancestor in path.ancestors() {
        if let (Ok(real), Ok(rest)) = (ancestor.canonicalize(), path.strip_prefix(ancestor)) {
            return rest.iter().fold(real, |mut path, part| {
                if part == ".." {
                    path.pop();
                } else {
                    path.push(part);
                }
                path
            });
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn folders_that_lie_in_one_another_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("in/sub")).unwrap();
        for (output, relation) in [
            ("in", Some("is the same folder as")),
            ("in/sub/../../in/.", Some("is the same folder as")),
            ("in/new/deep", Some("lies in")),
            ("new/../in/new", Some("lies in")),
            (".", Some("holds")),
            ("in2", None),
            ("out/in", None),
        ] {
            let found = match apart(&path("in"), &path(output)) {
                Err(PrepareError::Nested { relation, .. }) => Some(relation),
                _ => None,
            };
            assert_eq!(found, relation, "{output}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("in")).unwrap();
        std::os::unix::fs::symlink(path("in"), path("link")).unwrap();
        assert!(apart(&path("in"), &path("link/out")).is_err());
        assert!(apart(&path("link"), &path("in")).is_err());
    }
}
