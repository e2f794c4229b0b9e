use std::path::{Path, PathBuf};

use clap::Args;
use lora_train::{
    ComparedFile, DeviceChoice, EnvironmentDifference, ReproducedRun, Reproduction, RunReport,
};

use crate::{
    cli::{COMMIT, End},
    interrupt, plan_text,
    plan_text::left_table,
    printer::Printer,
    progress::Progress,
};

const EXAMPLES: &str = "\
Examples:
  lora reproduce output/cat
  lora reproduce output/cat --out again --device cpu
  lora reproduce output/cat --json | jq .equal

Everything comes from the run folder's ledger.toml: settings, and digests of the pictures and of the
base model, which must be what they were. Previews are left out, for they move nothing. Each file is
then compared with the SHA-256 that was recorded when it was written. The second run's files tell the
first one's times, so that equal means equal to the byte.

The exit code is 0 when all files are equal, 1 when one is not. On the CPU they are, with any number
of threads; GPUs may round differently from run to run.";

/// Train a run again from its folder, and tell whether that gives the same files
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Reproduce {
    /// The folder of a run that came to its end
    #[arg(value_name = "RUN_FOLDER")]
    folder: PathBuf,
    /// Where the second run goes; beside the first, with "-again" behind its name, when left out
    #[arg(short, long, visible_alias = "output", value_name = "FOLDER")]
    out: Option<PathBuf>,
    // Not a doc comment: rustdoc takes the brackets for links.
    #[arg(
        long,
        help = "Where to compute, if not where the first run did: auto, cpu, wgpu[:n], vulkan[:n] or cuda[:n]"
    )]
    device: Option<DeviceChoice>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Reproduce {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let again = self.out.unwrap_or_else(|| beside(&self.folder));
        let reproduction = Reproduction::open(&self.folder, &again, self.device)?;
        let config = reproduction.config().clone();
        printer.note(&format!("device: {}", config.train.device));
        printer.note(&plan_text::steps(&config, reproduction.plan()));
        interrupt::stop_on_ctrl_c(reproduction.handle(), printer.clone())?;
        let mut progress = Progress::new(printer, false, &again);
        let (outcome, comparison) = reproduction.run(&mut progress)?;
        let report = RunReport {
            config: &config,
            outcome: &outcome,
            record: &progress.into_record(),
            grid: None,
            commit: COMMIT,
        };
        report.write()?;
        let Some(comparison) = comparison else {
            return Ok(End::Stopped);
        };
        if self.json {
            printer.document(&comparison);
        } else {
            printer.result(&text(&comparison).join("\n"));
        }
        Ok(if comparison.equal {
            End::Done
        } else {
            End::Unfit
        })
    }
}

/// `output/cat-again` for `output/cat`.
fn beside(folder: &Path) -> PathBuf {
    let folder: PathBuf = std::path::absolute(folder)
        .unwrap_or_else(|_| folder.into())
        .components()
        .collect();
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push("-again");
    folder.with_file_name(name)
}

fn text(comparison: &ReproducedRun) -> Vec<String> {
    let row = |file: &ComparedFile| {
        let short = |hash: &str| hash.chars().take(12).collect::<String>();
        let (word, hashes) = match &file.again {
            _ if file.equal => ("equal", short(&file.recorded)),
            Some(now) => (
                "differs",
                format!("{} was recorded, now {}", short(&file.recorded), short(now)),
            ),
            None => ("missing", "the second run made no such file".to_owned()),
        };
        let touched = match file.untouched {
            Some(false) => "; the first run's file was changed after it was written",
            _ => "",
        };
        [
            word.to_owned(),
            file.name.clone(),
            format!("{hashes}{touched}"),
        ]
    };
    let mut lines = left_table(comparison.files.iter().map(row).collect());
    let told = |difference: &EnvironmentDifference| {
        let EnvironmentDifference { what, before, now } = difference;
        format!("{what} was {before}, is now {now}")
    };
    lines.extend(comparison.environment.iter().map(told));
    lines.extend(comparison.notes.iter().map(|note| format!("note: {note}")));
    let count = comparison.files.len();
    let equal = comparison.files.iter().filter(|file| file.equal).count();
    lines.push(format!(
        "{equal} of {count} files equal; the second run is in {}",
        comparison.again.display()
    ));
    lines
}
