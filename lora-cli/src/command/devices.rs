use clap::Args;
use lora_train::{DeviceListing, backends_left_out, list_devices};
use serde::Serialize;

use crate::{cli::End, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora devices
  lora train run.toml --device cuda:1

GPUs need a program built for them, for example `cargo build --release --features vulkan`.";

/// List the devices that can compute
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Devices {
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document {
    devices: Vec<DeviceListing>,
    not_built_in: Vec<&'static str>,
}

impl Devices {
    pub(crate) fn run(self, printer: &Printer) -> End {
        let document = Document {
            devices: list_devices(),
            not_built_in: backends_left_out(),
        };
        if self.json {
            printer.document(&document);
        } else {
            printer.result(&table(&document));
        }
        End::Done
    }
}

fn table(document: &Document) -> String {
    let width = document
        .devices
        .iter()
        .map(|device| device.name.len())
        .max()
        .unwrap_or(0);
    let mut lines: Vec<String> = document
        .devices
        .iter()
        .map(
            |DeviceListing {
                 name,
                 description,
                 auto,
             }| {
                let taken = if *auto { "  (taken by auto)" } else { "" };
                format!("{name:width$}  {description}{taken}")
            },
        )
        .collect();
    if !document.not_built_in.is_empty() {
        lines.push(format!(
            "not built in: {}",
            document.not_built_in.join(", ")
        ));
    }
    lines.join("\n")
}
