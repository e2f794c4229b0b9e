//! Checkpoints on the disk.

use std::{
    ffi::OsString,
    fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use atomic_file::{WriteError, write_atomically};
use burn::tensor::TensorData;
use lora_optim::State;
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::{Checkpoint, Difference, Sources};

/// Where in a run folder they are.
const FOLDER: &str = "checkpoints";
const EXTENSION: &str = "state";

/// Where a run goes on from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// A checkpoint; unset means the newest sound one of the run folder, or the beginning where there is none.
    pub from: Option<PathBuf>,
    /// Whether settings, pictures or model may have changed since.
    pub allow_change: bool,
}

/// Why a run cannot go on.
#[derive(Debug, Error)]
pub enum ResumeError {
    /// A checkpoint that cannot be used.
    #[error("{}: no checkpoint to go on from: {reason}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It belongs to another run.
    #[error(
        "{}: made by a run that differs from this one:{}\n  put these back, or allow the change (--allow-change)",
        path.display(),
        listed(differences)
    )]
    Changed {
        /// The checkpoint.
        path: PathBuf,
        /// All that differs.
        differences: Vec<Difference>,
    },
}

fn listed(differences: &[Difference]) -> String {
    let lines: Vec<String> = differences.iter().map(Difference::to_string).collect();
    format!("\n  {}", lines.join("\n  "))
}

impl ResumeError {
    fn unusable(path: &Path, reason: impl ToString) -> Self {
        Self::Unusable {
            path: path.to_path_buf(),
            reason: reason.to_string(),
        }
    }
}

/// Writes a checkpoint of the step into the run folder; gives its path.
///
/// # Errors
/// [`WriteError`]; older checkpoints stay.
pub(crate) fn write(
    folder: &Path,
    step: u64,
    checkpoint: Checkpoint,
) -> Result<PathBuf, WriteError> {
    let path = folder.join(FOLDER).join(file_name(step));
    let failed = |source| WriteError {
        path: path.clone(),
        source,
    };
    fs::create_dir_all(folder.join(FOLDER)).map_err(failed)?;
    let bytes = checkpoint.into_bytes();
    let bytes = bytes.map_err(|error| failed(io::Error::other(error)))?;
    write_atomically(&path, |file| file.write_all(&bytes))?;
    Ok(path)
}

/// Removes all but the newest `keep` checkpoints, once the newest has been read back; nothing where it cannot be.
///
/// # Errors
/// [`WriteError`] with the file that cannot be removed.
pub(crate) fn prune(folder: &Path, keep: u64) -> Result<(), WriteError> {
    let files = newest_first(folder);
    let keep = usize::try_from(keep).unwrap_or(usize::MAX).max(1);
    if files.len() <= keep || read(&files[0]).is_err() {
        return Ok(());
    }
    files[keep..].iter().try_for_each(|path| remove(path))
}

/// The checkpoints of later steps: a way that a run left when it went on from an earlier one.
pub(crate) fn later_than(folder: &Path, step: u64) -> Vec<PathBuf> {
    let name = file_name(step);
    let mut paths = newest_first(folder);
    paths.retain(|path| path.file_name().is_some_and(|file| file > name.as_os_str()));
    paths
}

/// Removes what [`later_than`] gave, except the checkpoint of this step.
///
/// # Errors
/// [`WriteError`] with the file that cannot be removed.
pub(crate) fn remove_others(paths: &[PathBuf], step: u64) -> Result<(), WriteError> {
    let name = file_name(step);
    let others = paths
        .iter()
        .filter(|path| path.file_name() != Some(name.as_os_str()) && path.exists());
    others.into_iter().try_for_each(|path| remove(path))
}

fn remove(path: &Path) -> Result<(), WriteError> {
    fs::remove_file(path).map_err(|source| WriteError {
        path: path.to_path_buf(),
        source,
    })
}

fn file_name(step: u64) -> OsString {
    format!("step{step:08}.{EXTENSION}").into()
}

/// A checkpoint with its path, if there is any, and why newer ones were passed over.
pub(crate) type Found = (Option<(PathBuf, Checkpoint)>, Vec<ResumeError>);

/// The checkpoint that `resume` means in a run folder, with its path; `None` for the beginning. Also tells of newer ones
/// that had to be passed over.
///
/// # Errors
/// [`ResumeError`]: one that was named, or all that there are, cannot be used; or it was made by a run from other `sources`.
pub(crate) fn find(
    folder: &Path,
    resume: &Resume,
    sources: &Sources,
) -> Result<Found, ResumeError> {
    let mut passed_over = Vec::new();
    let mut found = None;
    match &resume.from {
        Some(path) => found = Some((path.clone(), read(path)?)),
        None => {
            for path in newest_first(folder) {
                match read(&path) {
                    Ok(checkpoint) => {
                        found = Some((path, checkpoint));
                        break;
                    }
                    Err(error) => passed_over.push(error),
                }
            }
        }
    }
    // Where all are broken, somebody should look; to begin anew would take their place.
    if found.is_none() && !passed_over.is_empty() {
        return Err(passed_over.remove(0));
    }
    if let Some((path, checkpoint)) = &found {
        let differences = Difference::between(&checkpoint.record.sources, sources);
        if !differences.is_empty() && !resume.allow_change {
            return Err(ResumeError::Changed {
                path: path.clone(),
                differences,
            });
        }
    }
    Ok((found, passed_over))
}

fn read(path: &Path) -> Result<Checkpoint, ResumeError> {
    let bytes = fs::read(path).map_err(|error| ResumeError::unusable(path, error))?;
    let state = State::from_bytes(&bytes).map_err(|error| ResumeError::unusable(path, error))?;
    Checkpoint::from_state(state).map_err(|reason| ResumeError::unusable(path, reason))
}

/// Names have steps of one width, so that their order is that of the steps.
fn newest_first(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join(FOLDER)).into_iter().flatten();
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == EXTENSION)
        })
        .collect();
    paths.sort();
    paths.reverse();
    paths
}

/// SHA-256 over all values with their names.
pub(super) fn checksum(state: &State) -> TensorData {
    let mut hash = Sha256::new();
    for (name, value) in &state.tensors {
        hash.update(name);
        hash.update(format!("{:?}{:?}", value.dtype(), value.shape().to_vec()));
        hash.update(value.as_bytes());
    }
    for (name, value) in &state.scalars {
        hash.update(name);
        hash.update(format!("{value:?}"));
    }
    TensorData::new(hash.finalize().to_vec(), [32])
}
