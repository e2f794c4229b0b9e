//! What else can be done with entries.

use clap::Args;
use serde::Serialize;

use super::Place;
use crate::{cli::End, printer::Printer};

const RETRY: &str = "\
Examples:
  lora queue retry                      all that failed
  lora queue retry 4 7";

const REMOVE: &str = "\
Examples:
  lora queue remove 3
  lora queue remove 3 4 5";

const CLEAR: &str = "\
Examples:
  lora queue clear
  lora queue clear --all";

/// Let runs that failed wait for their turn again
///
/// Those that had begun go on from their newest checkpoint.
#[derive(Args, Debug)]
#[command(after_help = RETRY)]
pub(super) struct Retry {
    /// Numbers as `lora queue list` shows them; all that failed when left out
    #[arg(value_name = "ENTRY")]
    entries: Vec<u64>,
    #[command(flatten)]
    place: Place,
}

/// Take runs out of the queue; what they have written stays
#[derive(Args, Debug)]
#[command(after_help = REMOVE)]
pub(super) struct Remove {
    /// Numbers as `lora queue list` shows them
    #[arg(value_name = "ENTRY", required = true)]
    entries: Vec<u64>,
    #[command(flatten)]
    place: Place,
}

/// Take those that are done out of the queue; what they have written stays
#[derive(Args, Debug)]
#[command(after_help = CLEAR)]
pub(super) struct Clear {
    /// Also what waits, was stopped or failed: all but what is being trained
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    place: Place,
}

/// The entries that something was done with.
#[derive(Serialize)]
struct Document {
    entries: Vec<u64>,
}

impl Retry {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let again = self.place.open()?.retry(&self.entries)?;
        tell(printer, &self.place, "waiting again", again);
        Ok(End::Done)
    }
}

impl Remove {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        self.place.open()?.remove(&self.entries)?;
        tell(printer, &self.place, "removed", self.entries);
        Ok(End::Done)
    }
}

impl Clear {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let gone = self.place.open()?.clear(self.all)?;
        tell(printer, &self.place, "removed", gone);
        Ok(End::Done)
    }
}

fn tell(printer: &Printer, place: &Place, what: &str, entries: Vec<u64>) {
    if place.json {
        printer.document(&Document { entries });
        return;
    }
    let numbers: Vec<String> = entries.iter().map(u64::to_string).collect();
    printer.result(&match numbers.as_slice() {
        [] => format!("nothing {what}"),
        numbers => format!("{what}: {}", numbers.join(", ")),
    });
}
