//! Making a run again from its folder, and telling whether that gave the same.

mod ledger;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::Serialize;
use thiserror::Error;

use crate::{
    DeviceChoice, Difference, Environment, EnvironmentDifference, Observer, Outcome, Plan,
    TrainError, Trainer,
    checkpoint::Sources,
    config::{ConfigError, TrainConfig},
    handle::Handle,
};
pub(crate) use ledger::Ledger;

/// A run that is to be made again: everything loaded, and found to be what it was made from.
pub struct Reproduction {
    trainer: Trainer,
    ledger: Ledger,
    folder: PathBuf,
    again: PathBuf,
    device: DeviceChoice,
}

/// Why a run cannot be made again.
#[derive(Debug, Error)]
pub enum ReproduceError {
    /// The folder is of no run, or of one of an older version.
    #[error(
        "{}: {source}; every run writes this file into its folder, older versions of the program did not",
        path.display()
    )]
    NoLedger {
        /// The file looked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be understood.
    #[error("{}: cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The config in it is none of this version.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The run has not come to its end.
    #[error("{}: the run was not at its end; go on with it first (--resume latest)", folder.display())]
    NotEnded {
        /// Its folder.
        folder: PathBuf,
    },
    /// Another program gave the run an optimiser, a schedule, an objective or pictures of its own.
    #[error(
        "{}: the run had parts that its config does not name (an optimiser, schedule, objective or pictures of another \
         program), so only that program can make it again",
        folder.display()
    )]
    OwnParts {
        /// Its folder.
        folder: PathBuf,
    },
    /// The run was gone on with after a change.
    #[error(
        "{}: settings, pictures or model were changed while the run was stopped (--allow-change), so no one config makes it again",
        folder.display()
    )]
    ChangedOnTheWay {
        /// Its folder.
        folder: PathBuf,
    },
    /// What it was made from is not there any more.
    #[error("{}: what the run was made from has changed:{}", folder.display(), listed(differences))]
    Changed {
        /// Its folder.
        folder: PathBuf,
        /// All that differs.
        differences: Vec<Difference>,
    },
    /// The training failed.
    #[error(transparent)]
    Train(#[from] TrainError),
}

fn listed(differences: &[Difference]) -> String {
    let lines: Vec<String> = differences.iter().map(Difference::to_string).collect();
    format!("\n  {}", lines.join("\n  "))
}

/// How a run that was made again compares with the first.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReproducedRun {
    /// The first run's folder.
    pub folder: PathBuf,
    /// The second's.
    pub again: PathBuf,
    /// Whether all files have the bytes that were recorded.
    pub equal: bool,
    /// File by file, in the order in which they were saved.
    pub files: Vec<ComparedFile>,
    /// What of the surroundings is not as it was.
    pub environment: Vec<EnvironmentDifference>,
    /// What else may be the reason for a difference: one sentence each.
    pub notes: Vec<String>,
}

/// A file of both runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedFile {
    /// Its name.
    pub name: String,
    /// Steps done when it was saved.
    pub step: u64,
    /// SHA-256 that was recorded when the first run wrote it, in hexadecimal.
    pub recorded: String,
    /// SHA-256 of the second run's; unset where it made no such file.
    pub again: Option<String>,
    /// Whether they are equal.
    pub equal: bool,
    /// Whether the first run's file is still what was recorded; unset where it is gone.
    pub untouched: Option<bool>,
}

impl Reproduction {
    /// Loads all that the run in `folder` was made from, to train it again into `again`, on the device that it names or on
    /// another.
    ///
    /// # Errors
    /// [`ReproduceError`]; with all that differs where pictures or model are not what they were.
    pub fn open(
        folder: &Path,
        again: &Path,
        device: Option<DeviceChoice>,
    ) -> Result<Self, ReproduceError> {
        let ledger = Ledger::read(folder)?;
        let folder = folder.to_path_buf();
        if !ledger.ended {
            return Err(ReproduceError::NotEnded { folder });
        }
        if !ledger.from_config {
            return Err(ReproduceError::OwnParts { folder });
        }
        if ledger.changed {
            return Err(ReproduceError::ChangedOnTheWay { folder });
        }
        let mut config = TrainConfig::parse(&ledger.sources.config, &folder.join("ledger.toml"))?;
        again.clone_into(&mut config.output.folder);
        config.output.overwrite = false;
        // They would be the same pictures, and move nothing.
        config.preview.prompts.clear();
        if let Some(device) = device {
            config.train.device = device;
        }
        config.train.device = config.train.device.settle().map_err(TrainError::from)?;
        let device = config.train.device;
        let mut trainer = Trainer::open(config)?;
        let now = Sources::of(
            &trainer.config,
            trainer.data.as_ref(),
            trainer.heldout.as_deref(),
        )
        .map_err(TrainError::from)?;
        let differences = Difference::between(&ledger.sources, &now);
        if !differences.is_empty() {
            return Err(ReproduceError::Changed {
                folder,
                differences,
            });
        }
        trainer.times_of = Some(ledger.clone());
        Ok(Self {
            trainer,
            ledger,
            folder,
            again: again.to_path_buf(),
            device,
        })
    }

    /// What the run will do.
    pub fn plan(&self) -> &Plan {
        self.trainer.plan()
    }

    /// Commands for the run, from anywhere.
    pub fn handle(&self) -> Handle {
        self.trainer.handle()
    }

    /// The settings that it is made with.
    pub fn config(&self) -> &TrainConfig {
        &self.trainer.config
    }

    /// Trains, and compares if that came to its end.
    ///
    /// # Errors
    /// [`TrainError`].
    pub fn run(
        self,
        observer: &mut dyn Observer,
    ) -> Result<(Outcome, Option<ReproducedRun>), TrainError> {
        let Self {
            trainer,
            ledger,
            folder,
            again,
            device,
        } = self;
        let outcome = trainer.run(observer)?;
        if outcome.stopped {
            return Ok((outcome, None));
        }
        let files: Vec<ComparedFile> = ledger
            .files
            .iter()
            .map(|file| {
                let now = ledger::sha256(&again.join(&file.name));
                let before = ledger::sha256(&folder.join(&file.name));
                ComparedFile {
                    name: file.name.clone(),
                    step: file.step,
                    equal: now.as_ref() == Some(&file.sha256),
                    untouched: before.map(|hash| hash == file.sha256),
                    recorded: file.sha256.clone(),
                    again: now,
                }
            })
            .collect();
        let comparison = ReproducedRun {
            equal: !files.is_empty() && files.iter().all(|file| file.equal),
            environment: ledger.environment.differences(&Environment::here(device)),
            notes: notes(&folder),
            files,
            folder,
            again,
        };
        Ok((outcome, Some(comparison)))
    }
}

/// What the first run's log tells that no config says.
fn notes(folder: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
    let tells = |event: &str| log.contains(&format!("\"event\":\"{event}\""));
    let mut notes = Vec::new();
    if tells("rates_scaled") {
        notes
            .push("the learning rates were changed by hand while the first run went on".to_owned());
    }
    if tells("skipped") {
        notes.push(
            "the first run passed over steps whose numbers went wrong, which another device may not"
                .to_owned(),
        );
    }
    notes
}
