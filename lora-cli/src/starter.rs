//! What the quick start brings along: a small model, pictures in a style, and a config to train with.

use std::{fs, io, path::Path};

use anyhow::{Context, bail};
use include_dir::{Dir, File, include_dir};

static MINI: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../assets/mini");
const RUN: &str = include_str!("starter/run.toml");
/// The config's name in the quick start's folder.
pub(crate) const RUN_FILE: &str = "run.toml";

/// Unpacks model and pictures to `folder/mini` and the config to `folder/run.toml`.
///
/// # Errors
/// When `folder` holds other things, or a config that somebody changed, or cannot be written to.
pub(crate) fn unpack(folder: &Path) -> anyhow::Result<()> {
    check(folder)?;
    // The run file first: it marks the folder as ours, so that an interrupted unpacking can be done again.
    fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let run = folder.join(RUN_FILE);
    fs::write(&run, RUN).with_context(|| run.display().to_string())?;
    unpack_dir(&MINI, &folder.join("mini"))
}

fn check(folder: &Path) -> anyhow::Result<()> {
    let mut entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    let run = folder.join(RUN_FILE);
    match fs::read_to_string(&run) {
        Ok(text) if text == RUN => Ok(()),
        Ok(_) => bail!(
            "{} was changed; train it with `lora train`, or choose another --out",
            run.display()
        ),
        Err(_) if entries.next().is_none() => Ok(()),
        Err(_) => bail!("{} is not empty; choose another --out", folder.display()),
    }
}

fn unpack_dir(dir: &Dir<'_>, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to).with_context(|| to.display().to_string())?;
    for file in dir.files() {
        let path = to.join(name(file.path()));
        let written = |file: &File<'_>| fs::write(&path, file.contents());
        written(file).with_context(|| path.display().to_string())?;
    }
    dir.dirs()
        .try_for_each(|dir| unpack_dir(dir, &to.join(name(dir.path()))))
}

fn name(path: &Path) -> &Path {
    path.file_name().map_or(path, Path::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unpacked_is_there_and_nothing_foreign_is_touched() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("new");
        unpack(&folder).expect("a new folder");
        unpack(&folder).expect("our own folder, again");
        for part in [
            "mini/base/unet/config.json",
            "mini/base/README.md",
            "mini/style",
            "mini/style_heldout",
        ] {
            assert!(folder.join(part).exists(), "{part}");
        }
        fs::write(folder.join(RUN_FILE), "[train]\n").expect("written");
        assert!(
            unpack(&folder)
                .expect_err("changed")
                .to_string()
                .contains("was changed")
        );
        let foreign = parent.path().join("foreign");
        fs::create_dir(&foreign).expect("made");
        fs::write(foreign.join("thesis.txt"), "").expect("written");
        assert!(
            unpack(&foreign)
                .expect_err("not empty")
                .to_string()
                .contains("is not empty")
        );
    }
}
