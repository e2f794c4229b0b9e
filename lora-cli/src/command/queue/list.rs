use std::{path::PathBuf, time::Duration};

use clap::Args;
use lora_train::queue::{EntryState, EntryStatus, Queue, QueueEntry};
use serde::Serialize;

use super::Place;
use crate::{cli::End, plan_text::left_table, printer::Printer, progress::clock};

const EXAMPLES: &str = "\
Examples:
  lora queue list
  lora queue list --json | jq '.entries[] | select(.status == \"failed\") | .error'";

/// Show what waits, what is trained and what became of the others
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct List {
    #[command(flatten)]
    place: Place,
}

#[derive(Serialize)]
struct Document {
    queue: PathBuf,
    entries: Vec<Row>,
}

/// An entry as programs read it.
#[derive(Serialize)]
struct Row {
    entry: u64,
    run_file: PathBuf,
    /// Whether the run file was edited after it was added.
    run_file_changed: bool,
    folder: PathBuf,
    name: String,
    status: EntryStatus,
    added_at: f64,
    #[serde(flatten)]
    more: More,
}

#[derive(Default, Serialize)]
struct More {
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<u32>,
    /// Steps done.
    #[serde(skip_serializing_if = "Option::is_none")]
    step: Option<u64>,
    /// Steps of the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl List {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let queue = self.place.open()?;
        let entries = queue.entries()?;
        if self.place.json {
            printer.document(&Document {
                queue: queue.folder().to_path_buf(),
                entries: entries.iter().map(|entry| row(&queue, entry)).collect(),
            });
        } else {
            printer.result(&text(&queue, &entries).join("\n"));
        }
        Ok(End::Done)
    }
}

fn text(queue: &Queue, entries: &[QueueEntry]) -> Vec<String> {
    let mut lines = vec![format!("queue {}", queue.folder().display())];
    if entries.is_empty() {
        lines.push("  nothing in it; `lora queue add RUN.toml` puts a run there".to_owned());
    }
    let mut notes = Vec::new();
    let rows = entries.iter().map(|entry| {
        let row = row(queue, entry);
        if row.run_file_changed && row.status.is_ready() {
            notes.push(format!(
                "note: {} was edited after it was added as {}, which is run as it was; to run it as it is, remove {} and add it again",
                row.run_file.display(), row.entry, row.entry
            ));
        }
        [
            format!("  {}", row.entry),
            row.status.name().to_owned(),
            row.run_file.display().to_string(),
            told(&row),
        ]
    });
    lines.extend(left_table(rows.collect()));
    lines.extend(notes);
    lines
}

/// What there is to say about an entry beside its status.
fn told(row: &Row) -> String {
    let More {
        device,
        process,
        step,
        steps,
        seconds,
        file,
        error,
    } = &row.more;
    let at = match (step, steps) {
        (Some(step), Some(steps)) => format!("step {step}/{steps}"),
        (Some(step), None) => format!("after step {step}"),
        _ => String::new(),
    };
    match row.status {
        EntryStatus::Waiting => format!("into {}", row.folder.display()),
        EntryStatus::Stopped | EntryStatus::Interrupted => at,
        EntryStatus::Running => {
            let on = device.as_ref().map(|device| format!("on {device}"));
            let process = process.map(|process| format!("process {process}"));
            let at = Some(at).filter(|at| !at.is_empty());
            let parts: Vec<String> = [at, on, process].into_iter().flatten().collect();
            parts.join(", ")
        }
        EntryStatus::Done => {
            let time = clock(Duration::from_secs_f64(seconds.unwrap_or_default()));
            let file = file.as_ref().map(|file| format!(": {}", file.display()));
            format!(
                "{} steps in {time}{}",
                steps.unwrap_or_default(),
                file.unwrap_or_default()
            )
        }
        EntryStatus::Failed => {
            let error = error.clone().unwrap_or_default();
            error.replace('\n', " ")
        }
    }
}

fn row(queue: &Queue, entry: &QueueEntry) -> Row {
    let status = queue.status(entry);
    let (step, steps) = entry
        .progress()
        .filter(|_| entry.begun && !matches!(status, EntryStatus::Waiting | EntryStatus::Failed))
        .unzip();
    let at = More {
        step,
        steps,
        ..More::default()
    };
    let more = match &entry.state {
        EntryState::Waiting => More::default(),
        EntryState::Stopped { steps } => More {
            step: Some(*steps),
            ..at
        },
        EntryState::Running {
            device, process, ..
        } => More {
            device: Some(device.to_string()),
            process: (status == EntryStatus::Running).then_some(*process),
            ..at
        },
        EntryState::Done {
            steps,
            seconds,
            file,
            ..
        } => More {
            steps: Some(*steps),
            seconds: Some(*seconds),
            file: file.clone(),
            ..More::default()
        },
        EntryState::Failed { error, .. } => More {
            error: Some(error.clone()),
            ..More::default()
        },
    };
    Row {
        entry: entry.number,
        run_file: entry.run_file.clone(),
        run_file_changed: entry.has_changed(),
        folder: entry.folder().to_path_buf(),
        name: entry.config.output.name.clone(),
        status,
        added_at: entry.added_at,
        more,
    }
}
