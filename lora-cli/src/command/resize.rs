use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use lora_core::{
    lora_file::{LoraFile, LoraLayout},
    lora_tools::{ResizedModule, resize},
};
use serde::Serialize;

use crate::{
    cli::End,
    output_arguments::{LoraOutputArguments, WrittenLora, prepare},
    printer::Printer,
    rank_arguments::RankArguments,
};

const EXAMPLES: &str = "\
Examples:
  lora resize style.safetensors style-32.safetensors --rank 32
  lora resize style.safetensors small.safetensors --energy 0.9
  lora resize style.safetensors small.safetensors --ratio 10 --rank 64 --conv-rank 8

Each layer's correction is replaced by the nearest one of a lower rank. With a rule instead of a
plain rank, every layer gets the rank that it needs.";

/// Give a LoRA a lower rank, and its file a smaller size
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Resize {
    /// The LoRA file
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The file to write
    #[arg(value_name = "OUT")]
    out: PathBuf,
    #[command(flatten)]
    rank: RankArguments,
    #[command(flatten)]
    output: LoraOutputArguments,
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    written: WrittenLora,
    modules_resized: BTreeMap<String, Resized>,
}

#[derive(Serialize)]
struct Resized {
    from: usize,
    to: usize,
    norm_kept: f64,
}

impl Resize {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let choice = self.rank.choice(None)?;
        prepare(&self.out, self.output.force)?;
        let (lora, form) = LoraFile::read_with_form(&self.input)?;
        let (resized, told) = resize(&lora, &choice);
        let dtype = self.output.dtype.unwrap_or(form.dtype);
        let written = WrittenLora::write(&resized, &self.out, LoraLayout::Kohya, dtype)?;
        if self.output.json {
            let modules_resized = told.into_iter().map(|(name, told)| (name, told.into()));
            printer.document(&Document {
                written,
                modules_resized: modules_resized.collect(),
            });
        } else {
            printer.result(&format!("{}\n{}", written.text(), text(&told)));
        }
        Ok(End::Done)
    }
}

impl From<ResizedModule> for Resized {
    fn from(module: ResizedModule) -> Self {
        Self {
            from: module.from,
            to: module.to,
            norm_kept: module.kept,
        }
    }
}

fn text(modules: &BTreeMap<String, ResizedModule>) -> String {
    let ranks = |rank: fn(&ResizedModule) -> usize| {
        let ranks = modules.values().map(rank);
        match (ranks.clone().min(), ranks.max()) {
            (Some(least), Some(most)) if least != most => format!("{least} to {most}"),
            (least, _) => least.unwrap_or(0).to_string(),
        }
    };
    let kept: f64 =
        modules.values().map(|module| module.kept).sum::<f64>() / modules.len().max(1) as f64;
    let least = modules
        .iter()
        .min_by(|(_, a), (_, b)| a.kept.total_cmp(&b.kept));
    let least = least.map_or(String::new(), |(name, module)| {
        format!(", at least {:.1} % ({name})", 100.0 * module.kept)
    });
    format!(
        "  rank {} instead of {}; layers keep {:.1} % of their norm on average{least}",
        ranks(|module| module.to),
        ranks(|module| module.from),
        100.0 * kept
    )
}
