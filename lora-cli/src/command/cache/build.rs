use std::path::Path;

use anyhow::bail;
use clap::Args;
use lora_train::{CacheUse, Trainer, UseCount};
use serde::Serialize;

use crate::{cli::End, interrupt, printer::Printer, progress::Progress, run_file::RunFile};

const EXAMPLES: &str = "\
Examples:
  lora cache build run.toml
  lora cache build run.toml --set cache.folder=cache --device cuda:0
  lora cache build run.toml --json

Build on the kind of device that is to train: devices round differently, so each has entries of its
own. Ctrl-C keeps what is done; the same command goes on.";

/// Compute the latents and text states of a run, and keep them
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Build {
    #[command(flatten)]
    run: RunFile,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    folder: String,
    #[serde(flatten)]
    cache: &'a CacheUse,
}

impl Build {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let mut config = self.run.read()?;
        let Some(folder) = config.cache.folder.clone() else {
            bail!(
                "there is no cache to build: pass --set cache.folder=FOLDER, or write it into the config"
            );
        };
        // Nothing is trained or saved, so files of earlier runs are in nobody's way.
        config.output.overwrite = true;
        config.train.device = config.train.device.settle()?;
        printer.note(&format!("device: {}", config.train.device));
        let trainer = Trainer::open(config)?;
        interrupt::stop_on_ctrl_c(trainer.handle(), printer.clone())?;
        let mut progress = Progress::new(printer, false, Path::new(""));
        let built = trainer.fill_cache(&mut progress)?;
        if self.json {
            printer.document(&Document {
                folder: folder.display().to_string(),
                cache: &built,
            });
        } else {
            let lines = [
                line(
                    "latents",
                    built.latents,
                    "the VAE's weights cannot be told apart",
                ),
                line(
                    "text states",
                    built.text,
                    "text encoders are trained, or captions change from showing to showing",
                ),
                format!("cache {}", folder.display()),
            ];
            printer.result(&lines.join("\n"));
        }
        Ok(if built.stopped {
            End::Stopped
        } else {
            End::Done
        })
    }
}

fn line(what: &str, count: Option<UseCount>, why_not: &str) -> String {
    match count {
        Some(UseCount { found, made }) => format!("{what}: {found} were there, {made} made"),
        None => format!("{what}: none are kept, for {why_not}"),
    }
}
