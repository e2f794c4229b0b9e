//! Copies of diffusers folders.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::base_layers::BaseLayers;
use crate::atomic_file::WriteError;
use crate::safetensors_file::SafetensorsFile;

/// Endings of weight files.
const WEIGHTS: [&str; 7] = ["safetensors", "bin", "ckpt", "pt", "pth", "msgpack", "h5"];

/// Copies the diffusers folder `source` to `target`, with `write` for the weight files that hold layers of `base`.
///
/// Weights of the same networks in another form, such as half precision beside single, are left out: another program
/// might load them and miss the change. The folder is made under another name and renamed when it is complete.
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
    let parent = match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let temporary = tempfile::Builder::new()
        .prefix(".writing-")
        .tempdir_in(parent)
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
                self.folder(&path)?;
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

/// Gives the folder its name; a folder that had it is removed once the new one is there.
fn put_in_place(temporary: tempfile::TempDir, target: &Path) -> io::Result<()> {
    let made: PathBuf = temporary.keep();
    let old = made.with_extension("old");
    let replaced = target.exists();
    if replaced {
        fs::rename(target, &old)?;
    }
    fs::rename(&made, target)?;
    if replaced {
        fs::remove_dir_all(&old)?;
    }
    Ok(())
}
