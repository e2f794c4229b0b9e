//! `lora cache`: what runs keep on the disk.

mod build;
mod check;
mod prune;

use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::{Args, Subcommand};
use lora_train::{DiskCache, config::TrainConfig};

use crate::{cli::End, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora cache build run.toml             compute what runs of run.toml would, and keep it
  lora cache check cache                read every entry; the exit code is 1 if one is damaged
  lora cache prune cache --unused-days 30 --most 10GB

A run with `cache.folder` set looks there for the latents of its pictures and the text states of its
captions, and keeps those that it had to compute. Entries are found by what they are made of:
pixels, crop, tokens, weights, number format and device. What changes is computed anew, and what was
there stays until it is pruned. Any number of runs may use a folder, also at the same time.";

/// Look after the latents and text states that runs keep on the disk
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cache {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Build(build::Build),
    Check(check::Check),
    Prune(prune::Prune),
}

impl Cache {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        match self.what {
            What::Build(build) => build.run(printer),
            What::Check(check) => check.run(printer),
            What::Prune(prune) => prune.run(printer),
        }
    }
}

/// Which cache is meant.
#[derive(Args, Debug)]
struct Place {
    /// The cache's folder, or the config of a run that has one
    #[arg(value_name = "FOLDER|RUN.toml")]
    place: PathBuf,
}

impl Place {
    fn open(&self) -> anyhow::Result<DiskCache> {
        if self.place.is_file() {
            let config = TrainConfig::read(&self.place, &[])?;
            return Ok(DiskCache::open(folder_of(&config, &self.place)?)?);
        }
        Ok(DiskCache::open(&self.place)?)
    }
}

/// The cache's folder that a run's config names.
fn folder_of(config: &TrainConfig, path: &Path) -> anyhow::Result<PathBuf> {
    match &config.cache.folder {
        Some(folder) => Ok(folder.clone()),
        None => bail!(
            "{}: names no cache; write `folder = \"cache\"` below `[cache]`",
            path.display()
        ),
    }
}

/// Bytes for a person.
fn size(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}
