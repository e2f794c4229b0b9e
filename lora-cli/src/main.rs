//! `lora`: trains Stable Diffusion LoRAs, draws with them and compares them, from the command line.

mod cli;
mod command;
mod draw_arguments;
mod faces_text;
mod family_argument;
mod finder_arguments;
mod findings_text;
mod forecast_text;
mod grid_progress;
mod import_text;
mod interrupt;
mod lora_argument;
mod model_arguments;
mod name_list;
mod output_arguments;
mod plan_text;
mod prepare_progress;
mod prepare_text;
mod printer;
mod progress;
mod queue_progress;
mod rank_arguments;
mod run_file;
mod run_file_output;
mod starter;
mod tag_progress;
mod training;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    cli::Cli::parse().run()
}
