use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::bail;
use clap::Args;
use lora_data::tags::{self, Applied, HistoryEntry, TagEditor, TagsError};
use serde::Serialize;

use super::{
    edit_run::{captions, write},
    folder_arguments::FolderArguments,
};
use crate::{cli::End, printer::Printer};

const UNDO_EXAMPLES: &str = "\
Examples:
  lora tags undo pictures
  lora tags undo pictures 3 --dry-run

A caption that was changed by another program since is named and nothing is done. With --force it is
set back too, and lora tags redo brings back what it holds now.";

/// Take back the last edit, or the last N
#[derive(Args, Debug)]
#[command(after_help = UNDO_EXAMPLES)]
pub(crate) struct Undo {
    #[command(flatten)]
    steps: Steps,
}

const REDO_EXAMPLES: &str = "\
Examples:
  lora tags redo pictures
  lora tags redo pictures 3

After another edit, what was undone before it cannot be done again.";

/// Do an edit again that was undone, or N of them
#[derive(Args, Debug)]
#[command(after_help = REDO_EXAMPLES)]
pub(crate) struct Redo {
    #[command(flatten)]
    steps: Steps,
}

#[derive(Args, Debug)]
struct Steps {
    #[command(flatten)]
    folder: FolderArguments,
    /// How many edits
    #[arg(value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
    /// Write over captions that were changed by another program since
    #[arg(long)]
    force: bool,
    /// Print which edits, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Undo {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        self.steps.run(Direction::Undo, printer)
    }
}

impl Redo {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        self.steps.run(Direction::Redo, printer)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Undo,
    Redo,
}

#[derive(Serialize)]
struct StepsDocument {
    dry_run: bool,
    edits: Vec<StepDocument>,
}

#[derive(Serialize)]
struct StepDocument {
    command: String,
    files: usize,
}

impl Steps {
    fn run(&self, direction: Direction, printer: &Printer) -> anyhow::Result<End> {
        let (edits, end) = if self.dry_run {
            let history = tags::history(&self.folder.folder)?;
            let next = next(&history, direction);
            if next.is_empty() {
                return Err(self.nothing(direction).into());
            }
            (
                next.into_iter().take(self.count as usize).collect(),
                End::Done,
            )
        } else {
            let mut editor = self.folder.edit(printer)?;
            self.take(&mut editor, direction, printer)?
        };
        if self.json {
            let dry_run = self.dry_run;
            printer.document(&StepsDocument { dry_run, edits });
            return Ok(end);
        }
        let word = match (direction, self.dry_run) {
            (Direction::Undo, false) => "undone",
            (Direction::Undo, true) => "would be undone",
            (Direction::Redo, false) => "done again",
            (Direction::Redo, true) => "would be done again",
        };
        for edit in edits {
            let changed = captions(edit.files);
            printer.result(&format!("{word}: {} ({changed})", edit.command));
        }
        Ok(end)
    }

    fn take(
        &self,
        editor: &mut TagEditor,
        direction: Direction,
        printer: &Printer,
    ) -> anyhow::Result<(Vec<StepDocument>, End)> {
        let there = next(&editor.history(), direction);
        if there.is_empty() {
            return Err(self.nothing(direction).into());
        }
        let wanted = self.count as usize;
        if wanted > there.len() {
            let count = there.len();
            bail!("there are only {count} edits for that, not {wanted}; nothing was done");
        }
        let files = there[..wanted].iter().map(|edit| edit.files).sum();
        let mut edits = Vec::new();
        let end = write(printer, files, |on_step| {
            for _ in 0..wanted {
                let Applied { command, files } = match direction {
                    Direction::Undo => editor.undo(self.force, on_step)?,
                    Direction::Redo => editor.redo(self.force, on_step)?,
                };
                edits.push(StepDocument { command, files });
            }
            Ok(())
        });
        if end.is_err() {
            // What was done before the error stays done, and is told.
            for edit in &edits {
                printer.note(&format!("done before that: {}", edit.command));
            }
        }
        let end = end.map_err(advised)?;
        Ok((edits, end))
    }

    fn nothing(&self, direction: Direction) -> TagsError {
        let folder = self.folder.folder.clone();
        match direction {
            Direction::Undo => TagsError::NothingToUndo { folder },
            Direction::Redo => TagsError::NothingToRedo { folder },
        }
    }
}

/// Says what `--force` would do, where it would help.
fn advised(error: anyhow::Error) -> anyhow::Error {
    match error.downcast_ref() {
        Some(TagsError::Changed { .. }) => {
            anyhow::anyhow!("{error}\n--force writes over what was changed")
        }
        _ => error,
    }
}

/// The edits in this direction, the nearest first.
fn next(history: &[HistoryEntry], direction: Direction) -> Vec<StepDocument> {
    let step = |entry: &HistoryEntry| StepDocument {
        command: entry.command.clone(),
        files: entry.files,
    };
    let undone = direction == Direction::Redo;
    let entries = history.iter().filter(|entry| entry.undone == undone);
    let mut steps: Vec<StepDocument> = entries.map(step).collect();
    if direction == Direction::Undo {
        steps.reverse();
    }
    steps
}

const HISTORY_EXAMPLES: &str = "\
Examples:
  lora tags history pictures
  lora tags history pictures --clear

The journal, .lora-tags.journal in the folder, has the texts of every edit. Beyond 256 MiB it forgets
the oldest; --clear forgets all.";

/// List the edits that can be undone or done again
#[derive(Args, Debug)]
#[command(after_help = HISTORY_EXAMPLES)]
pub(crate) struct History {
    #[command(flatten)]
    folder: FolderArguments,
    /// Forget all edits; captions stay as they are
    #[arg(long)]
    clear: bool,
    /// Print one JSON document
    #[arg(long, conflicts_with = "clear")]
    json: bool,
}

impl History {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        if self.clear {
            let mut editor = self.folder.edit(printer)?;
            let count = editor.history().len();
            editor.clear_history()?;
            printer.result(&format!("{} forgotten", edits(count)));
            return Ok(End::Done);
        }
        let history = tags::history(&self.folder.folder)?;
        if self.json {
            printer.document(&history);
            return Ok(End::Done);
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |since| since.as_secs());
        let mut lines: Vec<String> = history.iter().map(|entry| line(entry, now)).collect();
        let undone = history.iter().filter(|entry| entry.undone).count();
        lines.push(match (history.len() - undone, undone) {
            (0, 0) => "no edits".to_owned(),
            (done, 0) => format!("{} can be undone", edits(done)),
            (0, undone) => format!("{} can be done again", edits(undone)),
            (done, undone) => format!("{} can be undone, {undone} done again", edits(done)),
        });
        printer.result(&lines.join("\n"));
        Ok(End::Done)
    }
}

fn line(entry: &HistoryEntry, now: u64) -> String {
    let state = if entry.undone { ", undone" } else { "" };
    let (age, changed) = (age(now.saturating_sub(entry.time)), captions(entry.files));
    format!("{age}: {} ({changed}{state})", entry.command)
}

fn edits(count: usize) -> String {
    match count {
        1 => "1 edit".to_owned(),
        count => format!("{count} edits"),
    }
}

/// How long ago something was.
fn age(seconds: u64) -> String {
    match seconds {
        0..60 => "just now".to_owned(),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_read_easily() {
        let ages = [5, 130, 7300, 200_000].map(age);
        assert_eq!(ages, ["just now", "2 min ago", "2 h ago", "2 days ago"]);
    }
}
