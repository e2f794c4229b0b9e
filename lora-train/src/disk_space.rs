use std::path::Path;

/// Bytes that may still be written below `path`, which need not be there yet. `None` where the system does not tell.
pub(crate) fn free_bytes(path: &Path) -> Option<u64> {
    let absolute = std::path::absolute(path).ok()?;
    let there = absolute.ancestors().find(|folder| folder.is_dir())?;
    of_folder(there)
}

#[cfg(unix)]
fn of_folder(folder: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    // What is kept for the system's administrator is not ours.
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn of_folder(_: &Path) -> Option<u64> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_yet_is_on_the_disk_of_those_above_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let here = free_bytes(folder.path()).expect("told");
        let below = free_bytes(&folder.path().join("a/b/c")).expect("told");
        // Others may write meanwhile.
        assert!(here > 0 && below.abs_diff(here) < here / 2 + (1 << 30));
    }
}
