use std::{io, process::ExitCode};

use clap::{
    ArgAction, Parser, Subcommand,
    builder::styling::{AnsiColor, Effects, Styles},
};
use tracing_subscriber::EnvFilter;

use crate::{
    command::{
        bench, cache, completions, convert, devices, extract, faces, grid, import, init, inspect,
        lint, merge, plan, prepare, presets, queue, quickstart, reproduce, resize, sample,
        schedule, tag, tags, train, verify,
    },
    printer::Printer,
};

/// The commit that the program was built from, where it was built from a clone.
pub(crate) const COMMIT: Option<&str> = option_env!("LORA_COMMIT");

const EXAMPLES: &str = "\
Examples:
  lora quickstart                       train on pictures that come along, in about two minutes
  lora init --model sd15.safetensors --pictures dataset --trigger \"sks dog\"
  lora plan run.toml                    see what a run would do
  lora train run.toml --set train.epochs=5
  lora sample -m model.safetensors --lora style.safetensors:0.8 \"a fox\"
  lora grid -m model.safetensors output/ -p \"a fox\"

`lora help COMMAND` tells more about each.";

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .usage(AnsiColor::Green.on_default().effects(Effects::BOLD))
    .literal(AnsiColor::Cyan.on_default().effects(Effects::BOLD))
    .placeholder(AnsiColor::Cyan.on_default());

/// Trains Stable Diffusion LoRAs, draws with them and compares them.
#[derive(Debug, Parser)]
#[command(name = "lora", version, after_help = EXAMPLES, styles = STYLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Tell more, twice for still more; LORA_LOG takes finer filters
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Tell results and errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    Quickstart(quickstart::Quickstart),
    Prepare(prepare::Prepare),
    Tag(tag::Tag),
    Tags(tags::Tags),
    Presets(presets::Presets),
    Init(init::Init),
    Import(import::Import),
    Train(train::Train),
    Queue(queue::Queue),
    Reproduce(reproduce::Reproduce),
    Plan(plan::Plan),
    Lint(lint::Lint),
    Schedule(schedule::Schedule),
    Faces(faces::Faces),
    Cache(cache::Cache),
    Sample(sample::Sample),
    Grid(grid::Grid),
    Inspect(inspect::Inspect),
    Verify(verify::Verify),
    Convert(convert::Convert),
    Resize(resize::Resize),
    Merge(merge::Merge),
    Extract(extract::Extract),
    Bench(bench::Bench),
    Devices(devices::Devices),
    Completions(completions::Completions),
}

/// How a command ended, errors aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It did what was asked for.
    Done,
    /// It was told to stop, and saved what there was.
    Stopped,
    /// It did, and what it looked at is not fit for use.
    Unfit,
}

impl Cli {
    /// Runs the command; the exit code is 0, 1 after an error or a check that failed, or 130 when stopped by Ctrl-C.
    pub(crate) fn run(self) -> ExitCode {
        self.log_to_stderr();
        let printer = Printer::new(self.quiet);
        let result = match self.command {
            Command::Quickstart(command) => command.run(&printer),
            Command::Prepare(command) => command.run(&printer),
            Command::Tag(command) => command.run(&printer),
            Command::Tags(command) => command.run(&printer),
            Command::Presets(command) => Ok(command.run(&printer)),
            Command::Init(command) => command.run(&printer),
            Command::Import(command) => command.run(&printer),
            Command::Train(command) => command.run(&printer),
            Command::Queue(command) => command.run(&printer),
            Command::Reproduce(command) => command.run(&printer),
            Command::Plan(command) => command.run(&printer),
            Command::Lint(command) => command.run(&printer),
            Command::Schedule(command) => command.run(&printer),
            Command::Faces(command) => command.run(&printer),
            Command::Cache(command) => command.run(&printer),
            Command::Sample(command) => command.run(&printer),
            Command::Grid(command) => command.run(&printer),
            Command::Inspect(command) => command.run(&printer),
            Command::Verify(command) => command.run(&printer),
            Command::Convert(command) => command.run(&printer),
            Command::Resize(command) => command.run(&printer),
            Command::Merge(command) => command.run(&printer),
            Command::Extract(command) => command.run(&printer),
            Command::Bench(command) => command.run(&printer),
            Command::Devices(command) => Ok(command.run(&printer)),
            Command::Completions(command) => Ok(command.run(&printer)),
        };
        match result.and_then(|end| printer.check().map(|()| end)) {
            Ok(End::Done) => ExitCode::SUCCESS,
            Ok(End::Unfit) => ExitCode::FAILURE,
            Ok(End::Stopped) => ExitCode::from(crate::interrupt::EXIT_CODE),
            Err(error) => {
                printer.error(&error);
                ExitCode::FAILURE
            }
        }
    }

    fn log_to_stderr(&self) {
        let level = match self.verbose {
            _ if self.quiet => "error",
            0 => "warn",
            1 => "info",
            2 => "debug",
            _ => "trace",
        };
        let filter = EnvFilter::try_from_env("LORA_LOG").unwrap_or_else(|_| EnvFilter::new(level));
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(io::stderr)
            .without_time()
            .init();
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_one_another() {
        Cli::command().debug_assert();
    }
}
