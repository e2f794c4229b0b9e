use std::path::PathBuf;

use clap::Args;
use lora_train::{Resume, RunReport};

use crate::{
    cli::{COMMIT, End},
    printer::Printer,
    run_file::RunFile,
    training::{self, Finished},
};

const EXAMPLES: &str = "\
Examples:
  lora train run.toml
  lora train run.toml --set train.epochs=5 --set output.folder=shorter
  lora train run.toml --device cuda:0 --json | jq .loss
  lora train run.toml --resume latest

A run that was stopped or killed goes on with --resume from its newest checkpoint, as if nothing had
happened; without one it begins anew. Checkpoints are written with every saved epoch and every
checkpoint.every steps.

Ctrl-C finishes the step, saves and ends with code 130; pressed again it leaves at once. The run
folder gets the saved files, previews, metrics.jsonl, metrics.csv, tensorboard/, resolved.toml,
loss.png, loss-by-timestep.png, previews.png, report.json and index.html.";

/// Train a LoRA as a config file says
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Train {
    #[command(flatten)]
    run: RunFile,
    /// Print every event as a line of JSON, the same as in metrics.jsonl
    #[arg(long)]
    json: bool,
    /// Go on from a checkpoint: "latest", or the path of one
    #[arg(long, value_name = "latest|PATH")]
    resume: Option<PathBuf>,
    /// Go on also where settings, pictures or model have changed since
    #[arg(long, requires = "resume")]
    allow_change: bool,
}

impl Train {
    fn resume(&self) -> Option<Resume> {
        let from = self.resume.clone()?;
        Some(Resume {
            from: Some(from).filter(|path| path.as_os_str() != "latest"),
            allow_change: self.allow_change,
        })
    }

    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let config = self.run.read()?;
        let Finished {
            config,
            outcome,
            record,
            ..
        } = training::train(config, self.resume(), printer, self.json)?;
        let report = RunReport {
            config: &config,
            outcome: &outcome,
            record: &record,
            grid: None,
            commit: COMMIT,
        };
        let summary = report.write()?;
        if !self.json {
            printer.result(&training::result(&config.output.folder, &outcome, &summary));
        }
        Ok(if outcome.stopped {
            End::Stopped
        } else {
            End::Done
        })
    }
}
