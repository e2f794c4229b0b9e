//! Copies of diffusers folders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::base_layers::BaseLayers;
use crate::safetensors_file::SafetensorsFile;
use atomic_file::WriteError;

/// Endings of weight files.
const WEIGHTS: [&str; 7] = ["safetensors", "bin", "ckpt", "pt", "pth", "msgpack", "h5"];

/// Copies the diffusers folder `source` to `target`, with `write` for the weight files that hold layers of `base`.
///
/// Weights of the same networks in another form, such as half precision beside single, are left out: another program
/// might load them and miss the change; so are hidden folders. The folder is made under another name and renamed when it
/// is complete.
pub(super) fn write_folder(
    source: &Path,
    target: &Path,
    base: &BaseLayers,
    write: impl Fn(&SafetensorsFile, &Path) -> Result<(), WriteError>,
) -> Result<(), WriteError> {
    let io_error = |source: io::Error| WriteError {
        path: target.to_path_buf(),
        source,
    };
    let temporary = tempfile::Builder::new()
        .prefix(atomic_file::TEMPORARY_PREFIX)
        .tempdir_in(parent(target))
        .map_err(io_error)?;
    let copy = Copy {
        source,
        target: temporary.path(),
        base,
    };
    copy.folder(Path::new("")).map_err(io_error)?;
    for file in base.files() {
        let inside = file.path().strip_prefix(source).unwrap_or(file.path());
        write(file, &temporary.path().join(inside)).map_err(|error| WriteError {
            path: target.join(inside),
            source: error.source,
        })?;
    }
    put_in_place(temporary, target).map_err(io_error)
}

struct Copy<'a> {
    source: &'a Path,
    target: &'a Path,
    base: &'a BaseLayers,
}

impl Copy<'_> {
    /// Copies what is in the folder at the relative path `inside`.
    fn folder(&self, inside: &Path) -> io::Result<()> {
        fs::create_dir_all(self.target.join(inside))?;
        for entry in fs::read_dir(self.source.join(inside))? {
            let entry = entry?;
            let path = inside.join(entry.file_name());
            // Follows links: repositories are often folders of links to one store.
            if entry.path().is_dir() {
                // `.git` or `.cache`: the history of the folder, no part of the model.
                if !entry.file_name().to_string_lossy().starts_with('.') {
                    self.folder(&path)?;
                }
            } else if self.is_kept(&entry.path()) {
                fs::copy(entry.path(), self.target.join(&path))?;
            }
        }
        Ok(())
    }

    /// Whether a file is copied as it is.
    fn is_kept(&self, file: &Path) -> bool {
        let is_weights = file
            .extension()
            .is_some_and(|ending| WEIGHTS.iter().any(|known| ending == *known));
        if !is_weights {
            return true;
        }
        let in_same_folder = |changed: &&SafetensorsFile| changed.path().parent() == file.parent();
        let changed: Vec<&SafetensorsFile> = self.base.files().filter(in_same_folder).collect();
        let Some(first) = changed.first() else {
            // Those of the VAE and of a safety checker; but not a whole model beside the folders.
            return file.parent() != Some(self.source);
        };
        // Other shards of the same network have no layer that an adapter sits on.
        let is_changed = changed.iter().any(|changed| changed.path() == file);
        !is_changed && form(file) == form(first.path())
    }
}

/// What tells one network's weight files in one form from those in another.
fn form(file: &Path) -> (Option<&std::ffi::OsStr>, bool, bool) {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    (
        file.extension(),
        name.contains("fp16"),
        name.contains("-of-"),
    )
}

/// Whether one of the two folders lies inside the other, so that writing one would change the other.
pub(super) fn are_nested(source: &Path, target: &Path) -> bool {
    let (Ok(source), Some(target)) = (source.canonicalize(), canonical(target)) else {
        return false;
    };
    source != target && (target.starts_with(&source) || source.starts_with(&target))
}

/// The path without links of something that need not be there, though its folder must.
fn canonical(path: &Path) -> Option<PathBuf> {
    path.canonicalize().ok().or_else(|| {
        let folder = parent(path).canonicalize().ok()?;
        Some(folder.join(path.file_name()?))
    })
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// Gives the folder its name; what had it is removed once the new folder is there, and put back when it cannot be.
fn put_in_place(temporary: TempDir, target: &Path) -> io::Result<()> {
    let old = temporary.path().with_extension("old");
    let replaced = target.exists();
    if replaced {
        fs::rename(target, &old)?;
    }
    if let Err(error) = fs::rename(temporary.path(), target) {
        if replaced {
            fs::rename(&old, target)?;
        }
        return Err(error);
    }
    // It has another name now, so there is nothing to remove.
    let _: PathBuf = temporary.keep();
    if replaced {
        remove(&old)?;
    }
    Ok(())
}

fn remove(old: &Path) -> io::Result<()> {
    if old.is_dir() && !old.is_symlink() {
        fs::remove_dir_all(old)
    } else {
        fs::remove_file(old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_there_is_put_back_when_the_new_folder_cannot_be() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("model");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("old"), "kept").unwrap();
        let temporary = || tempfile::tempdir_in(folder.path()).unwrap();

        let lost = temporary();
        fs::remove_dir(lost.path()).unwrap();
        put_in_place(lost, &target).unwrap_err();
        assert!(target.join("old").is_file());

        let made = temporary();
        fs::write(made.path().join("new"), "there").unwrap();
        put_in_place(made, &target).unwrap();
        assert!(target.join("new").is_file() && !target.join("old").exists());
        let left = fs::read_dir(folder.path()).unwrap().count();
        assert_eq!(left, 1);
    }

    #[test]
    fn folders_inside_one_another_are_known_by_any_path() {
        let folder = tempfile::tempdir().unwrap();
        let model = folder.path().join("model");
        fs::create_dir_all(model.join("unet")).unwrap();
        for (target, nested) in [
            (model.join("merged"), true),
            (model.join("unet/../merged"), true),
            (folder.path().to_path_buf(), true),
            (model.clone(), false),
            (folder.path().join("model-2"), false),
        ] {
            assert_eq!(are_nested(&model, &target), nested, "{}", target.display());
        }
    }
}
