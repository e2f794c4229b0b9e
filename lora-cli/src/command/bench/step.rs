use std::{num::NonZeroUsize, path::PathBuf};

use anyhow::ensure;
use clap::{Args, ValueEnum};
use lora_core::{
    ActivationCheckpointing, Family, ModelConfigs, Precision, WeightFormat,
    adapter::{LoraSpec, Target},
    weights::Checkpoint,
};
use lora_train::{
    Device, DeviceChoice,
    bench::{StepBench, StepReport},
    list_devices,
};
use serde::Serialize;

use super::{gibibytes, grouped};
use crate::{cli::End, family_argument::family, model_arguments::precision, printer::Printer};

/// Of the document that `--json` prints, and benches/peer/ too: docs/bench-format.md.
const FORMAT: u32 = 1;

const EXAMPLES: &str = "\
Examples:
  lora bench step --family sd1 --size 512
  lora bench step --family sd1 --size 256,512 --checkpointing none,block --json
  lora bench step --family sdxl --size 1024 --batch 1,4 --precision bf16 --device cuda --peak-tflops 989 --json";

/// Take training steps on a full-size model of seeded numbers: seconds of a step, memory, operations in a second
///
/// Several values, with commas between them, are measured in all combinations.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Step {
    /// Which published models
    #[arg(long, value_name = "FAMILY", value_parser = family(), value_delimiter = ',', default_value = "sd1")]
    family: Vec<Family>,
    /// A diffusers folder whose configs are used instead of a published model's
    #[arg(long, value_name = "FOLDER", conflicts_with = "family")]
    config: Option<PathBuf>,
    /// Width and height of the pictures; the model's own when left out
    #[arg(long, value_name = "PIXELS", value_delimiter = ',')]
    size: Vec<usize>,
    /// Pictures of a batch
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1")]
    batch: Vec<NonZeroUsize>,
    /// Number formats of the model's weights
    #[arg(long, value_name = "FORMAT", value_parser = precision(), value_delimiter = ',', default_value = "auto")]
    precision: Vec<Precision>,
    /// Hold the UNet's weights in eight bits; needs --checkpointing block or aggressive
    #[arg(long)]
    eight_bit: bool,
    /// What is computed a second time instead of being kept for the backward pass
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        value_delimiter = ',',
        default_value = "none"
    )]
    checkpointing: Vec<Checkpointing>,
    /// Rank of the adapters
    #[arg(long, value_name = "N", default_value_t = LoraSpec::default().rank)]
    rank: usize,
    /// Train the text encoders too
    #[arg(long)]
    text: bool,
    /// Steps before the first that counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    warm_up: usize,
    /// Steps that count
    #[arg(long, value_name = "N", default_value = "3")]
    steps: NonZeroUsize,
    /// What the device could do at most in the number format, in 10^12 operations a second, to tell how much of it was reached
    #[arg(long, value_name = "TFLOPS")]
    peak_tflops: Option<f64>,
    /// Where to compute.
    // Not a doc comment: rustdoc takes the brackets for links.
    #[arg(long, default_value_t = DeviceChoice::Auto, help = "Where to compute: auto, cpu, wgpu[:n], vulkan[:n] or cuda[:n]")]
    device: DeviceChoice,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The words of [`ActivationCheckpointing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Checkpointing {
    /// Nothing
    None,
    /// Each block of the UNet
    Block,
    /// Each block and, within, each layer
    Aggressive,
}

impl From<Checkpointing> for ActivationCheckpointing {
    fn from(word: Checkpointing) -> Self {
        match word {
            Checkpointing::None => Self::None,
            Checkpointing::Block => Self::Block,
            Checkpointing::Aggressive => Self::Aggressive,
        }
    }
}

/// Everything that was measured, as a program reads it.
#[derive(Serialize)]
struct Document {
    format: u32,
    program: String,
    steps: Vec<Row>,
}

/// One combination.
#[derive(Serialize)]
struct Row {
    device: String,
    device_name: String,
    threads: usize,
    peak_tflops: Option<f64>,
    /// The part of it that was reached.
    of_peak: Option<f64>,
    #[serde(flatten)]
    report: StepReport,
}

impl Step {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let benches = self.benches()?;
        let choice = self.device.settle()?;
        let device = choice.resolve()?;
        printer.note(&format!("device: {choice}"));
        let mut document = Document {
            format: FORMAT,
            program: concat!("lora ", env!("CARGO_PKG_VERSION")).to_owned(),
            steps: Vec::with_capacity(benches.len()),
        };
        for bench in benches {
            let row = self.measure(&bench, choice, &device)?;
            if !self.json {
                tell(&row, printer);
            }
            document.steps.push(row);
        }
        if self.json {
            printer.document(&document);
        }
        Ok(End::Done)
    }

    /// All combinations.
    fn benches(&self) -> anyhow::Result<Vec<StepBench>> {
        let mut targets = vec![Target::Attention];
        if self.text {
            targets.insert(0, Target::TextEncoder);
        }
        let spec = LoraSpec {
            rank: self.rank,
            alpha: self.rank as f32,
            targets,
            ..LoraSpec::default()
        };
        let mut benches = Vec::new();
        let models = if let Some(folder) = &self.config {
            vec![ModelConfigs::read(&Checkpoint::open(folder, None)?)?]
        } else {
            let families = self.family.iter().copied();
            families.map(ModelConfigs::published).collect()
        };
        for configs in models {
            let own = [configs.native_side() as usize];
            let sizes = if self.size.is_empty() {
                &own[..]
            } else {
                &self.size
            };
            for &size in sizes {
                ensure!(
                    size >= 64 && size.is_multiple_of(8),
                    "--size {size}: use a multiple of 8 from 64 up"
                );
                for &batch in &self.batch {
                    for &precision in &self.precision {
                        let eight_bit = self.eight_bit;
                        benches.extend(self.checkpointing.iter().map(|&word| StepBench {
                            configs: configs.clone(),
                            format: WeightFormat {
                                precision,
                                eight_bit,
                            },
                            size,
                            batch,
                            spec: spec.clone(),
                            checkpointing: word.into(),
                            warm_up: self.warm_up,
                            steps: self.steps,
                        }));
                    }
                }
            }
        }
        Ok(benches)
    }

    fn measure(
        &self,
        bench: &StepBench,
        choice: DeviceChoice,
        device: &Device,
    ) -> anyhow::Result<Row> {
        let report = bench.measure(device)?;
        let name = choice.to_string();
        let listed = list_devices().into_iter();
        let described = listed.filter(|listing| listing.name == name);
        Ok(Row {
            device_name: described.map(|listing| listing.description).collect(),
            device: name,
            threads: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
            peak_tflops: self.peak_tflops,
            of_peak: self.peak_tflops.map(|peak| report.tflops / peak),
            report,
        })
    }
}

fn tell(row: &Row, printer: &Printer) {
    let report = &row.report;
    let all: Vec<String> = report
        .seconds
        .iter()
        .map(|seconds| format!("{seconds:.3}"))
        .collect();
    let seconds = |seconds: f64| format!("{seconds:.2} s a step");
    let cores = report.core_seconds.map_or("unknown".to_owned(), seconds);
    let peak = report.peak_resident.map_or("unknown".to_owned(), gibibytes);
    let of_peak = row
        .of_peak
        .map(|part| format!(", {:.1} % of the peak", 100.0 * part));
    let format = if report.eight_bit {
        format!("{}, weights in eight bits", report.precision)
    } else {
        report.precision.to_string()
    };
    for line in [
        format!(
            "{} at {} pixels, batch {}, {format}, checkpointing {}",
            report.family,
            report.size,
            report.batch,
            word(report.checkpointing)
        ),
        format!(
            "  UNet            {} parameters",
            grouped(report.parameters.unet)
        ),
        format!("  trained         {}", grouped(report.trained)),
        format!(
            "  step            {:.3} s (median of {})",
            report.median,
            all.join(", ")
        ),
        format!(
            "  work            {:.3} TFLOP a step, {:.3} TFLOP/s{}",
            report.tflop,
            report.tflops,
            of_peak.unwrap_or_default()
        ),
        format!("  cores worked    {cores}"),
        format!("  peak in RAM     {peak}"),
        report.device_reserved.map_or(String::new(), |bytes| {
            format!("  reserved on it  {}", gibibytes(bytes))
        }),
    ]
    .into_iter()
    .filter(|line| !line.is_empty())
    {
        printer.result(&line);
    }
}

fn word(checkpointing: ActivationCheckpointing) -> &'static str {
    match checkpointing {
        ActivationCheckpointing::None => "none",
        ActivationCheckpointing::Block => "block",
        ActivationCheckpointing::Aggressive => "aggressive",
    }
}
