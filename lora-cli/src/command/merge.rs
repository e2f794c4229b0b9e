use std::path::{Path, PathBuf};

use anyhow::bail;
use clap::Args;
use lora_core::{
    lora_file::{LoraFile, LoraLayout},
    lora_tools::{RankChoice, WeightedLora, combine, merge_into},
    weights::Checkpoint,
};
use lora_train::DeviceChoice;
use serde::Serialize;

use crate::{
    cli::End,
    lora_argument::LoraArgument,
    model_arguments::at_least_one,
    output_arguments::{LoraOutputArguments, WrittenLora, prepare},
    printer::Printer,
};

const EXAMPLES: &str = "\
Examples:
  lora merge style.safetensors:0.8 face.safetensors:0.5 -o both.safetensors
  lora merge style.safetensors:0.8 face.safetensors:0.5 --rank 32 -o both.safetensors
  lora merge --into model.safetensors style.safetensors:0.8 -o model-style.safetensors
  lora merge --into stable-diffusion-v1-5/ style.safetensors -o sd15-style/

Several LoRAs become one whose correction is exactly their sum: ranks add up, unless --rank limits
them. A model keeps its layout and number format; it is read and written tensor by tensor.";

/// Add up several LoRAs, or merge them into a base model
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Merge {
    /// LoRA files and their strengths, 1 when left out, or TE:UNET
    #[arg(required = true, value_name = "FILE[:STRENGTH]")]
    loras: Vec<LoraArgument>,
    /// The LoRA file to write; with --into, the model file or folder
    #[arg(short, long, value_name = "PATH")]
    out: PathBuf,
    /// The base model to merge into: a diffusers folder or a .safetensors checkpoint
    #[arg(long, value_name = "MODEL", conflicts_with = "rank")]
    into: Option<PathBuf>,
    /// A diffusers folder whose configs are used instead of the model's, for checkpoints of unusual shape
    #[arg(long, value_name = "FOLDER", requires = "into")]
    config: Option<PathBuf>,
    /// The highest rank of the sum
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    rank: Option<usize>,
    #[command(flatten)]
    output: LoraOutputArguments,
}

#[derive(Serialize)]
struct MergedModel<'a> {
    file: &'a Path,
    weights: usize,
    modules: usize,
}

impl Merge {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        prepare(&self.out, self.output.force)?;
        // A model takes up whatever a file holds; only pairs become one file again.
        let read = |lora: &LoraArgument| match &self.into {
            Some(_) => LoraFile::read_any_with_form(&lora.path),
            None => LoraFile::read_with_form(&lora.path),
        };
        let files = self.loras.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        let names: Vec<_> = self.loras.iter().map(|lora| name(&lora.path)).collect();
        let loras: Vec<_> = (self.loras.iter().zip(&names).zip(&files))
            .map(|((lora, name), (file, _))| WeightedLora {
                name,
                file,
                strength: lora.strength,
            })
            .collect();
        if let Some(base) = &self.into {
            return self.merge_into(base, &loras, printer);
        }
        let sum = combine(&loras, self.rank.map(RankChoice::fixed).as_ref())?;
        let widest = files
            .iter()
            .map(|(_, form)| form.dtype)
            .max_by_key(|dtype| *dtype as u8);
        let dtype = self.output.dtype.or(widest).unwrap_or_default();
        let written = WrittenLora::write(&sum, &self.out, LoraLayout::Kohya, dtype)?;
        if self.output.json {
            printer.document(&written);
        } else {
            printer.result(&written.text());
        }
        Ok(End::Done)
    }

    fn merge_into(
        &self,
        base: &Path,
        loras: &[WeightedLora<'_>],
        printer: &Printer,
    ) -> anyhow::Result<End> {
        if self.output.dtype.is_some() {
            bail!("--dtype is for LoRA files; a model keeps its number format");
        }
        let checkpoint = Checkpoint::open(base, self.config.as_deref())?;
        let device = DeviceChoice::Cpu.resolve()?;
        let merged = merge_into(&checkpoint, loras, &self.out, &device)?;
        let document = MergedModel {
            file: &self.out,
            weights: merged.weights,
            modules: merged.modules,
        };
        if self.output.json {
            printer.document(&document);
        } else {
            printer.result(&format!(
                "{}: {} weights changed by {} modules",
                self.out.display(),
                merged.weights,
                merged.modules
            ));
        }
        Ok(End::Done)
    }
}

/// A file's name without its extension.
fn name(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or(path.as_os_str());
    stem.to_string_lossy().into_owned()
}
