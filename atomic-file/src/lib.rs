//! Writing a file so that its name never stands for half of it.

mod fault;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// How the names of unfinished files begin, of which a killed program leaves one behind.
pub const TEMPORARY_PREFIX: &str = ".writing-";

/// Why a file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: cannot write: {source}", path.display())]
pub struct WriteError {
    /// The target.
    pub path: PathBuf,
    /// What the operating system, or the writing closure, answered.
    pub source: io::Error,
}

/// Writes `path` through `write` so that a reader sees either the old file or the whole new one, even after a crash.
///
/// The bytes go to a temporary file in the same folder, which is synced, renamed over `path`, and made durable by
/// syncing the folder. The writer is buffered and flushed here. On an error before the rename, and on a panic in
/// `write`, the temporary file is removed and `path` stays untouched. A symbolic link is replaced, not followed.
///
/// # Errors
/// [`WriteError`] names the target: its folder is missing or not writable, the disk is full, or `write` failed.
pub fn write_atomically<T>(
    path: impl AsRef<Path>,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<T>,
) -> Result<T, WriteError> {
    let path = path.as_ref();
    replace(path, write).map_err(|source| WriteError {
        path: path.to_path_buf(),
        source,
    })
}

fn replace<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<&mut File>) -> io::Result<T>,
) -> io::Result<T> {
    let folder = folder_of(path);
    fault::point()?;
    // `make_in`, not `tempfile_in`: a temporary file of the latter kind is readable by its owner only, and stays so.
    let mut temporary = tempfile::Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .make_in(folder, |path| File::create_new(path))?;
    let mut buffered = BufWriter::with_capacity(1 << 20, temporary.as_file_mut());
    let value = write(&mut buffered)?;
    fault::point()?;
    buffered.flush()?;
    drop(buffered);
    fault::point()?;
    temporary.as_file().sync_all()?;
    fault::point()?;
    temporary.persist(path).map_err(|error| error.error)?;
    fault::point()?;
    // Only then does the new name survive a power cut. Windows cannot open a folder and needs no such call.
    if cfg!(unix) {
        File::open(folder)?.sync_all()?;
    }
    Ok(value)
}

/// The folder that holds `path`; the current one for a bare file name.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names_in(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn replaces_the_target_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(&path, "old").unwrap();
        let value = write_atomically(&path, |file| file.write_all(b"new").map(|()| 7)).unwrap();
        assert_eq!((value, fs::read(&path).unwrap()), (7, b"new".to_vec()));
        assert_eq!(names_in(folder.path()), ["a.bin"]);
    }

    #[test]
    fn a_reader_that_has_the_old_file_open_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(&path, "old").unwrap();
        let old = File::open(&path).unwrap();
        write_atomically(&path, |file| file.write_all(b"new")).unwrap();
        assert_eq!(io::read_to_string(old).unwrap(), "old");
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }

    #[test]
    fn a_failing_writer_leaves_the_target_untouched_and_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(&path, "old").unwrap();
        let error = write_atomically(&path, |file| {
            file.write_all(&vec![0; 3 << 20])?; // beyond the buffer, so that bytes do reach the disk
            Err::<(), _>(io::Error::other("disk full"))
        })
        .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("a.bin: cannot write: disk full")
        );
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names_in(folder.path()), ["a.bin"]);
    }

    #[test]
    fn a_panicking_writer_leaves_the_target_untouched_and_no_temporary_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bin");
        fs::write(&path, "old").unwrap();
        let written = std::panic::catch_unwind(|| {
            write_atomically::<()>(&path, |_| panic!("in the middle of writing"))
        });
        assert!(written.is_err());
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names_in(folder.path()), ["a.bin"]);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_target() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("missing").join("a.bin");
        let error = write_atomically(&path, |_| Ok(())).unwrap_err();
        assert_eq!(error.path, path);
    }

    #[cfg(unix)]
    #[test]
    fn a_new_file_has_the_permissions_of_any_other_new_file() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (folder.path().join("ours"), folder.path().join("other"));
        write_atomically(&ours, |_| Ok(())).unwrap();
        fs::write(&other, "").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&other));
    }
}
