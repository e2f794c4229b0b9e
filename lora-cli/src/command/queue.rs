//! `lora queue`: runs that wait for their turn.

mod add;
mod change;
mod list;
mod run;

use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};
use lora_train::queue::{Queue as Store, default_folder};

use crate::{cli::End, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora queue add cat.toml dog.toml fox.toml
  lora queue add cat.toml --set train.unet_lr=5e-4 --set output.folder=faster
  lora queue run                        train one after the other, until none is left
  lora queue list
  lora queue retry                      let those that failed wait for their turn again
  lora queue clear                      take out those that are done

What waits is the run as it was when it was added: edit the file for the next one, or for a change
remove the entry and add the file again. A run that is stopped (Ctrl-C) or killed goes on with the
next `lora queue run` from its newest checkpoint; one that fails does not keep the others waiting.

The queue is the folder that --queue or LORA_QUEUE names, or lora/queue in the folder where programs
keep their state (XDG_STATE_HOME, ~/.local/state, on Windows LOCALAPPDATA).";

/// Let runs wait for their turn, and train one after the other
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Queue {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Add(add::Add),
    List(list::List),
    Run(run::Run),
    Retry(change::Retry),
    Remove(change::Remove),
    Clear(change::Clear),
}

impl Queue {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        match self.what {
            What::Add(add) => add.run(printer),
            What::List(list) => list.run(printer),
            What::Run(run) => run.run(printer),
            What::Retry(retry) => retry.run(printer),
            What::Remove(remove) => remove.run(printer),
            What::Clear(clear) => clear.run(printer),
        }
    }
}

/// Which queue is meant, and how the result is told.
#[derive(Args, Debug)]
struct Place {
    /// The queue's folder
    #[arg(long, value_name = "FOLDER")]
    queue: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Place {
    fn open(&self) -> anyhow::Result<Store> {
        let folder = self.queue.clone().or_else(default_folder).context(
            "it is not known where the queue is to be; name a folder with --queue or LORA_QUEUE",
        )?;
        Ok(Store::open(folder)?)
    }
}
