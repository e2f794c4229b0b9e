use std::{
    io,
    num::{NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
};

use anyhow::bail;
use atomic_file::write_atomically;
use clap::Args;
use lora_train::{
    EpochListing, FilePlan, MemoryPlan, Plan as RunPlan, TimePlan, config::TrainConfig,
    picture::plan_page,
};
use serde::Serialize;

use crate::{
    cli::End, findings_text, forecast_text, plan_text, printer::Printer, run_file::RunFile,
};

const EXAMPLES: &str = "\
Examples:
  lora plan run.toml
  lora plan run.toml --html plan.html   see each picture with what is cut off
  lora plan run.toml --set train.batch_size=4 --json
  lora plan run.toml --epoch 1          see what each step shows, and with which words
  lora plan run.toml --measure          load everything and time a few steps: how long it will take

What is odd about the dataset is told, but only what keeps the run from starting is an error here;
`lora lint` is the command whose exit code guards a run.";

/// So many findings are told unless all are asked for.
const FINDINGS: usize = 40;

/// Tell what a run would do, and everything that is wrong with it, without doing it
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Plan {
    #[command(flatten)]
    run: RunFile,
    /// List all pictures and findings, however many there are
    #[arg(long)]
    all: bool,
    /// Write a page that shows every picture with what is cut off
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// List what an epoch shows, batch by batch, with captions as they are drawn
    #[arg(long, value_name = "N")]
    epoch: Option<NonZeroU64>,
    /// Load everything, time so many steps (3) and whatever else the run does once, and tell how long
    /// it will take; nothing is written
    #[arg(
        long,
        value_name = "N",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "3"
    )]
    measure: Option<NonZeroUsize>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    plan: &'a RunPlan,
    files: &'a FilePlan,
    memory: &'a MemoryPlan,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<&'a TimePlan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<&'a EpochListing>,
}

impl Plan {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let mut config = self.run.read()?;
        config.train.device = config.train.device.settle()?;
        let plan = RunPlan::open(&config)?;
        if let Some(path) = &self.html {
            write_page(&config, &plan, path)?;
            printer.note(&format!("page {}", path.display()));
        }
        let epoch = match self.epoch.map(NonZeroU64::get) {
            Some(epoch) if epoch > plan.epochs => {
                bail!("there is no epoch {epoch}: the run has {}", plan.epochs)
            }
            Some(epoch) => Some(EpochListing::open(&config, &plan, epoch)?),
            None => None,
        };
        let files = FilePlan::open(&config, &plan)?;
        let memory = MemoryPlan::open(&config, &plan, &files)?;
        let time = self.measure.map(|steps| TimePlan::measure(&config, steps));
        let time = time.transpose()?;
        if self.json {
            printer.document(&Document {
                plan: &plan,
                files: &files,
                memory: &memory,
                time: time.as_ref(),
                epoch: epoch.as_ref(),
            });
        } else {
            let mut lines = text(&config, &plan, (&files, &memory), self.all);
            lines.extend(time.iter().flat_map(forecast_text::time));
            lines.extend(epoch.iter().flat_map(plan_text::epoch));
            printer.result(&lines.join("\n"));
        }
        Ok(End::Done)
    }
}

fn write_page(config: &TrainConfig, plan: &RunPlan, path: &Path) -> anyhow::Result<()> {
    let title = format!("Plan of {}", config.output.name);
    write_atomically(path, |file| {
        plan_page(plan, &title, file).map_err(io::Error::other)
    })?;
    Ok(())
}

fn text(
    config: &TrainConfig,
    plan: &RunPlan,
    (files, memory): (&FilePlan, &MemoryPlan),
    all: bool,
) -> Vec<String> {
    let longest = plan.pictures.iter().max_by_key(|picture| picture.tokens);
    let mut lines = vec![
        format!("model {}", config.model.path.display()),
        format!("device {}", config.train.device),
        plan_text::steps(config, plan),
        plan_text::files(config, plan),
        forecast_text::sizes(files),
        forecast_text::memory(memory),
        plan_text::adapters(config),
        format!("resolution {}", config.dataset.resolution),
    ];
    lines.extend(plan_text::heldout(plan));
    lines.extend(plan_text::settings(plan));
    lines.extend(longest.map(|picture| {
        format!(
            "longest caption {} tokens of {}",
            picture.tokens, config.model.max_tokens
        )
    }));
    lines.extend(plan_text::buckets(plan));
    lines.extend(plan_text::folders(plan));
    lines.extend(plan_text::pictures(plan, all));
    lines.extend(forecast_text::no_room(files));
    lines.extend(plan.notes.iter().map(|note| format!("note: {note}")));
    let findings = findings_text::lines(&plan.findings);
    let shown = if all {
        findings.len()
    } else {
        FINDINGS.min(findings.len())
    };
    lines.extend_from_slice(&findings[..shown]);
    if shown < findings.len() {
        let more = findings.len() - shown;
        lines.push(format!("… and {more} more findings; --all lists them"));
    }
    lines
}
