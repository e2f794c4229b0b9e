use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use lora_core::{
    adapter::Target,
    lora_file::{FileDtype, LoraLayout},
    lora_tools::{ExtractChoice, Extracted, extract},
    weights::Checkpoint,
};
use lora_train::DeviceChoice;
use serde::Serialize;

use crate::{
    cli::End,
    output_arguments::{LoraOutputArguments, WrittenLora, prepare},
    printer::Printer,
    rank_arguments::RankArguments,
};

/// The rank where nothing is said.
const DEFAULT_RANK: usize = 64;

const EXAMPLES: &str = "\
Examples:
  lora extract base.safetensors tuned.safetensors -o difference.safetensors --rank 64
  lora extract base.safetensors tuned.safetensors -o difference.safetensors --energy 0.95
  lora extract base/ tuned.safetensors -o difference.safetensors --rank 64 --conv-rank 32

Layers of the text encoders and of the UNet's transformers are looked at; with --conv-rank, those of
its convolutions as well. Without any choice the rank is 64; no rule finds more than 256.";

/// Make a LoRA of the difference between a fine-tuned model and its base
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Extract {
    /// The model that the other was tuned from: a diffusers folder or a .safetensors checkpoint
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// The tuned model
    #[arg(value_name = "TUNED")]
    tuned: PathBuf,
    /// The LoRA file to write
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// A diffusers folder whose configs are used instead of the models', for checkpoints of unusual shape
    #[arg(long, value_name = "FOLDER")]
    config: Option<PathBuf>,
    // Not a doc comment: rustdoc takes the brackets for links.
    #[arg(long, default_value_t = DeviceChoice::Auto, help = "Where to compute: auto, cpu, wgpu[:n], vulkan[:n] or cuda[:n]")]
    device: DeviceChoice,
    #[command(flatten)]
    rank: RankArguments,
    #[command(flatten)]
    output: LoraOutputArguments,
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    written: WrittenLora,
    modules_extracted: BTreeMap<String, ExtractedModule>,
}

#[derive(Serialize)]
struct ExtractedModule {
    rank: usize,
    norm: f64,
    norm_kept: f64,
}

impl Extract {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let choice = self.choice()?;
        prepare(&self.out, self.output.force)?;
        let base = Checkpoint::open(&self.base, self.config.as_deref())?;
        let tuned = Checkpoint::open(&self.tuned, self.config.as_deref())?;
        let device = self.device.settle()?.resolve()?;
        let bar = printer.bar(0, "layers");
        let (lora, told) = extract([&base, &tuned], &choice, &device, |done, all| {
            bar.set_length(all as u64);
            bar.set_position(done as u64);
        })?;
        bar.finish_and_clear();
        let dtype = self.output.dtype.unwrap_or(FileDtype::F16);
        let written = WrittenLora::write(&lora, &self.out, LoraLayout::Kohya, dtype)?;
        if self.output.json {
            let modules_extracted = told.into_iter().map(|(name, told)| (name, told.into()));
            printer.document(&Document {
                written,
                modules_extracted: modules_extracted.collect(),
            });
        } else {
            printer.result(&format!("{}\n{}", written.text(), text(&told)));
        }
        Ok(End::Done)
    }

    fn choice(&self) -> anyhow::Result<ExtractChoice> {
        let mut choice = ExtractChoice {
            rank: self.rank.choice(Some(DEFAULT_RANK))?,
            ..ExtractChoice::default()
        };
        if self.rank.conv_rank.is_some() {
            choice.targets.push(Target::Convolution);
        }
        Ok(choice)
    }
}

impl From<Extracted> for ExtractedModule {
    fn from(module: Extracted) -> Self {
        Self {
            rank: module.rank,
            norm: module.norm,
            norm_kept: module.kept,
        }
    }
}

/// How much of the whole difference is in the LoRA.
fn text(modules: &BTreeMap<String, Extracted>) -> String {
    let squares = |norm: fn(&Extracted) -> f64| {
        let squares = modules.values().map(|module| norm(module).powi(2));
        squares.sum::<f64>()
    };
    let kept = squares(|module| module.norm * module.kept) / squares(|module| module.norm);
    format!(
        "  {:.1} % of the difference of {} layers, by its norm",
        100.0 * kept.sqrt(),
        modules.len()
    )
}
