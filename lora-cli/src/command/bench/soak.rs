use std::num::NonZeroU64;

use clap::Args;
use lora_train::bench::{Soak as Bench, SoakReport, SoakSample};
use serde::Serialize;

use crate::{cli::End, printer::Printer, run_file::RunFile};

const EXAMPLES: &str = "\
Examples:
  lora bench soak run.toml --steps 20000
  lora bench soak run.toml --steps 20000 --json > soak.jsonl

Trains as the run file says, but so many steps and into a folder that is removed afterwards, and looks
at the memory now and then. The exit code is 1 if at the last look more than --limit per cent is in
RAM beyond what was at the first.";

/// Train very many steps, and tell whether the memory grows
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Soak {
    #[command(flatten)]
    run: RunFile,
    /// Steps
    #[arg(long, value_name = "N", default_value = "20000")]
    steps: NonZeroU64,
    /// Steps between two looks at the memory
    #[arg(long, value_name = "N", default_value = "1000")]
    every: NonZeroU64,
    /// Growth in per cent that is too much
    #[arg(long, value_name = "PER_CENT", default_value_t = 1.0)]
    limit: f64,
    /// Print a line of JSON for each look, and one for the whole
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Ended<'a> {
    #[serde(flatten)]
    report: &'a SoakReport,
    /// Growth that is too much, as a part.
    limit: f64,
    /// Whether it stayed below that.
    holds: bool,
}

impl Soak {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let mut config = self.run.read()?;
        config.train.device = config.train.device.settle()?;
        let folder = tempfile::tempdir()?;
        config.output.folder = folder.path().join("run");
        let bench = Bench {
            config,
            steps: self.steps,
            every: self.every,
        };
        let report = bench.measure(&mut |sample| {
            if self.json {
                printer.json_line(&sample);
            } else {
                let SoakSample { step, resident } = sample;
                printer.result(&format!("step {step}: {} in RAM", mebibytes(resident)));
            }
        })?;
        let limit = self.limit / 100.0;
        let holds = report.growth.is_some_and(|growth| growth < limit);
        if self.json {
            printer.json_line(&Ended {
                report: &report,
                limit,
                holds,
            });
        } else {
            let growth = report.growth.map_or_else(
                || "unknown, for it was not looked at".to_owned(),
                |growth| format!("{:+.2} % from the first look to the last", 100.0 * growth),
            );
            printer.result(&format!(
                "{} steps in {:.0} s; growth {growth}",
                report.steps, report.seconds
            ));
        }
        Ok(if holds { End::Done } else { End::Unfit })
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}
