//! `lora bench`: measures with full-size models, or over many steps.

mod load;
mod soak;
mod step;

use clap::{Args, Subcommand};
use lora_core::Precision;
use lora_train::DeviceChoice;

use crate::{cli::End, model_arguments::precision, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora bench load model.safetensors     seconds and memory to load a checkpoint
  lora bench load --family sdxl --precision f16
  lora bench load --family sd1 --json
  lora bench step --family sd1 --size 512
  lora bench soak run.toml --steps 20000";

/// Measure seconds and memory, with full-size models that need no checkpoint, or of a long run
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Bench {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Load(load::Load),
    Step(step::Step),
    Soak(soak::Soak),
}

impl Bench {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        match self.what {
            What::Load(load) => load.run(printer),
            What::Step(step) => step.run(printer),
            What::Soak(soak) => soak.run(printer),
        }
    }
}

/// How the model is held, and how the result is told.
#[derive(Args, Debug)]
struct Setting {
    /// Number format of the model's weights
    #[arg(long, value_name = "FORMAT", value_parser = precision(), default_value = "auto")]
    precision: Precision,
    /// Hold the UNet's weights in eight bits
    #[arg(long)]
    eight_bit: bool,
    /// Where to compute.
    // Not a doc comment: rustdoc takes the brackets for links.
    #[arg(long, default_value_t = DeviceChoice::Auto, help = "Where to compute: auto, cpu, wgpu[:n], vulkan[:n] or cuda[:n]")]
    device: DeviceChoice,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Bytes for a person, in the binary units of the memory they are compared with.
fn gibibytes(bytes: u64) -> String {
    format!("{:.2} GiB", bytes as f64 / f64::from(1 << 30))
}

/// A number with its thousands set apart.
pub(crate) fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| str::from_utf8(group).unwrap_or_default())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        let told = [0, 999, 1000, 859_520_964].map(grouped);
        assert_eq!(told, ["0", "999", "1,000", "859,520,964"]);
    }
}
