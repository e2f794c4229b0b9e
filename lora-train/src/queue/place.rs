use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
};

/// Where a user's queue is unless told otherwise: `LORA_QUEUE`, or `lora/queue` in the folder for the state of programs, which
/// is `XDG_STATE_HOME`, `~/.local/state`, or on Windows `LOCALAPPDATA`. `None` where none of them is known.
pub fn default_folder() -> Option<PathBuf> {
    folder_by(|name| env::var_os(name))
}

fn folder_by(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let path = |name: &str| variable(name).map(PathBuf::from);
    // As the specification asks, a relative path there is passed over.
    let folder = |name: &str| path(name).filter(|path| path.is_absolute());
    let below = |base: PathBuf| base.join("lora").join("queue");
    let home = || Some(folder("HOME")?.join(Path::new(".local/state")));
    path("LORA_QUEUE")
        .filter(|path| !path.as_os_str().is_empty())
        .or_else(|| folder("XDG_STATE_HOME").map(below))
        .or_else(|| folder("LOCALAPPDATA").map(below))
        .or_else(|| home().map(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<PathBuf> {
        folder_by(|name| {
            let mut known = variables.iter();
            known
                .find(|(known, _)| *known == name)
                .map(|(_, value)| value.into())
        })
    }

    #[cfg(unix)]
    #[test]
    fn the_first_that_is_known_says_it() {
        let home = ("HOME", "/home/me");
        for (variables, expected) in [
            (
                &[("LORA_QUEUE", "here"), ("XDG_STATE_HOME", "/state"), home][..],
                "here",
            ),
            (&[("XDG_STATE_HOME", "/state"), home], "/state/lora/queue"),
            (
                &[("XDG_STATE_HOME", "state"), home],
                "/home/me/.local/state/lora/queue",
            ),
            (&[home], "/home/me/.local/state/lora/queue"),
        ] {
            assert_eq!(found(variables), Some(expected.into()));
        }
        assert_eq!(found(&[("HOME", "")]), None);
    }
}
