use clap::Args;
use lora_train::RunReport;

use crate::{
    cli::End,
    printer::Printer,
    run_file::RunFile,
    training::{self, Finished},
};

const EXAMPLES: &str = "\
Examples:
  lora train run.toml
  lora train run.toml --set train.epochs=5 --set output.folder=shorter
  lora train run.toml --device cuda:0 --json | jq .loss

Ctrl-C finishes the step, saves and ends with code 130; pressed again it leaves at once. The run
folder gets the saved files, previews, metrics.jsonl, resolved.toml, loss.png, report.json and
index.html.";

/// Train a LoRA as a config file says
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Train {
    #[command(flatten)]
    run: RunFile,
    /// Print every event as a line of JSON, the same as in metrics.jsonl
    #[arg(long)]
    json: bool,
}

impl Train {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let config = self.run.read()?;
        let Finished {
            config,
            outcome,
            record,
            ..
        } = training::train(config, printer, self.json)?;
        let report = RunReport {
            config: &config,
            outcome: &outcome,
            record: &record,
            grid: None,
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
