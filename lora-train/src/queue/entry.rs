use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{DeviceChoice, RunFolder, config::TrainConfig, hexadecimal::hexadecimal};

/// A run that is to wait for its turn.
#[derive(Clone, Debug, PartialEq)]
pub struct NewEntry {
    /// The file that describes it.
    pub run_file: PathBuf,
    /// What is read from it, changes from elsewhere included.
    pub config: TrainConfig,
    /// Whether it goes on from the newest checkpoint in its folder.
    pub resume: bool,
}

/// A run in a queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueEntry {
    /// Its number, by which the order goes; none is given twice.
    #[serde(skip)]
    pub number: u64,
    /// The file that describes it, from the root.
    pub run_file: PathBuf,
    /// SHA-256 of that file when it was added, in hexadecimal.
    pub sha256: String,
    /// When it was added, in seconds since 1970.
    pub added_at: f64,
    /// Whether its folder is its own already, so that it goes on from what is there.
    pub begun: bool,
    /// How it stands, as far as it was put down.
    pub state: EntryState,
    /// What is run: the config as it was when it was added, with absolute paths.
    pub config: TrainConfig,
}

/// How an entry stands, as far as it was put down.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum EntryState {
    /// It waits for its turn.
    Waiting,
    /// It was told to stop, with everything saved, and goes on with the next that trains here.
    Stopped {
        /// Steps done.
        steps: u64,
    },
    /// A program trains it, or did so until it was killed.
    Running {
        /// Where.
        device: DeviceChoice,
        /// The program.
        process: u32,
        /// Since when, in seconds since 1970.
        since: f64,
    },
    /// It came to its end.
    Done {
        /// When, in seconds since 1970.
        at: f64,
        /// Steps done.
        steps: u64,
        /// Seconds that it took.
        seconds: f64,
        /// The last file.
        file: Option<PathBuf>,
    },
    /// It ended with an error.
    Failed {
        /// When, in seconds since 1970.
        at: f64,
        /// What was wrong.
        error: String,
    },
}

/// How an entry stands now, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryStatus {
    /// It waits for its turn.
    Waiting,
    /// It was told to stop, and goes on when its turn comes.
    Stopped,
    /// It is being trained.
    Running,
    /// The program that trained it was killed; it goes on when its turn comes.
    Interrupted,
    /// It came to its end.
    Done,
    /// It ended with an error.
    Failed,
}

impl EntryStatus {
    /// Whether its turn can come.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Waiting | Self::Stopped | Self::Interrupted)
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
            Self::Running => "running",
            Self::Interrupted => "interrupted",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl QueueEntry {
    /// Whether the run file is not what it was when the entry was added, which changes nothing about the entry. A file that is
    /// gone has not changed.
    pub fn has_changed(&self) -> bool {
        sha256_of(&self.run_file).is_some_and(|now| now != self.sha256)
    }

    /// Steps done and steps of the run, as its log has them last.
    pub fn progress(&self) -> Option<(u64, u64)> {
        RunFolder::progress(self.folder())
    }

    /// The run folder.
    pub fn folder(&self) -> &Path {
        &self.config.output.folder
    }
}

pub(super) fn sha256_of(path: &Path) -> Option<String> {
    let bytes = fs::read(path).ok()?;
    Some(hexadecimal(&Sha256::digest(bytes)))
}
