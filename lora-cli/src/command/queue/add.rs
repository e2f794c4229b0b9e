use std::path::PathBuf;

use clap::Args;
use lora_train::{config::TrainConfig, queue::NewEntry};
use serde::Serialize;

use super::Place;
use crate::{cli::End, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora queue add cat.toml dog.toml fox.toml
  lora queue add cat.toml --set lora.rank=8 --set output.folder=small
  lora queue add cat.toml --resume      go on with a run that was stopped";

/// Put runs at the end of the queue
///
/// What is wrong with their settings is told now, not when their turn comes; then none is added.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Add {
    /// The runs' configs
    #[arg(value_name = "RUN.toml", required = true)]
    run_files: Vec<PathBuf>,
    /// Set a value of each config, as train.epochs=5; relative paths are from the working directory
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Go on from the newest checkpoints in the runs' folders
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct Added<'a> {
    entry: u64,
    run_file: &'a PathBuf,
    folder: &'a PathBuf,
}

impl Add {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let mut runs = Vec::with_capacity(self.run_files.len());
        for run_file in self.run_files {
            runs.push(NewEntry {
                config: TrainConfig::read(&run_file, &self.overrides)?,
                run_file,
                resume: self.resume,
            });
        }
        let queue = self.place.open()?;
        let entries = queue.add(runs)?;
        if self.place.json {
            let added: Vec<Added<'_>> = entries
                .iter()
                .map(|entry| Added {
                    entry: entry.number,
                    run_file: &entry.run_file,
                    folder: &entry.config.output.folder,
                })
                .collect();
            printer.document(&added);
        } else {
            for entry in &entries {
                let (file, folder) = (entry.run_file.display(), entry.folder().display());
                printer.result(&format!("{} {file}, into {folder}", entry.number));
            }
        }
        Ok(End::Done)
    }
}
