use std::num::NonZeroUsize;

use anyhow::ensure;
use clap::{Args, ValueEnum};
use lora_core::{
    ActivationCheckpointing, Family, ModelConfigs,
    adapter::{LoraSpec, Target},
};
use lora_train::bench::{StepBench, StepReport};

use super::{Setting, gibibytes, grouped};
use crate::{cli::End, family_argument::family, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora bench step --family sd1 --size 512
  lora bench step --family sdxl --size 1024 --batch 4 --precision bf16 --device cuda --json";

/// Take training steps on a full-size model of seeded numbers: seconds of a step and memory
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Step {
    /// Which published model
    #[arg(long, value_name = "FAMILY", value_parser = family(), default_value = "sd1")]
    family: Family,
    /// Width and height of the pictures; the model's own when left out
    #[arg(long, value_name = "PIXELS")]
    size: Option<usize>,
    /// Pictures of a batch
    #[arg(long, value_name = "N", default_value = "1")]
    batch: NonZeroUsize,
    /// Rank of the adapters
    #[arg(long, value_name = "N", default_value_t = LoraSpec::default().rank)]
    rank: usize,
    /// Train the text encoders too
    #[arg(long)]
    text: bool,
    /// What is computed a second time instead of being kept for the backward pass
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Checkpointing::None)]
    checkpointing: Checkpointing,
    /// Steps before the first that counts
    #[arg(long, value_name = "N", default_value_t = 1)]
    warm_up: usize,
    /// Steps that count
    #[arg(long, value_name = "N", default_value = "3")]
    steps: NonZeroUsize,
    #[command(flatten)]
    setting: Setting,
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

impl Step {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let configs = ModelConfigs::published(self.family);
        let size = self.size.unwrap_or(configs.native_side() as usize);
        ensure!(
            size >= 64 && size.is_multiple_of(8),
            "--size {size}: use a multiple of 8 from 64 up"
        );
        let mut targets = vec![Target::Attention];
        if self.text {
            targets.insert(0, Target::TextEncoder);
        }
        let bench = StepBench {
            configs,
            precision: self.setting.precision,
            size,
            batch: self.batch,
            spec: LoraSpec {
                rank: self.rank,
                alpha: self.rank as f32,
                targets,
                ..LoraSpec::default()
            },
            checkpointing: self.checkpointing.into(),
            warm_up: self.warm_up,
            steps: self.steps,
        };
        let device = self.setting.device.settle()?;
        printer.note(&format!("device: {device}"));
        let report = bench.measure(&device.resolve()?)?;
        if self.setting.json {
            printer.document(&report);
        } else {
            tell(&report, printer);
        }
        Ok(End::Done)
    }
}

fn tell(report: &StepReport, printer: &Printer) {
    let all: Vec<String> = report
        .seconds
        .iter()
        .map(|seconds| format!("{seconds:.3}"))
        .collect();
    let seconds = |seconds: f64| format!("{seconds:.2} s a step");
    let cores = report.core_seconds.map_or("unknown".to_owned(), seconds);
    let peak = report.peak_resident.map_or("unknown".to_owned(), gibibytes);
    for line in [
        format!(
            "{} at {} pixels, batch {}",
            report.family, report.size, report.batch
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
        format!("  cores worked    {cores}"),
        format!("  peak in RAM     {peak}"),
    ] {
        printer.result(&line);
    }
}
