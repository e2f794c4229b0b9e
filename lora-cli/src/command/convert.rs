use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lora_core::lora_file::{LoraFile, LoraLayout};

use crate::{
    cli::End,
    output_arguments::{LoraOutputArguments, WrittenLora, prepare},
    printer::Printer,
};

const EXAMPLES: &str = "\
Examples:
  lora convert pytorch_lora_weights.safetensors style.safetensors
  lora convert style.safetensors style-peft.safetensors --to peft
  lora convert style.safetensors style-bf16.safetensors --dtype bf16

Reads the layouts of kohya, PEFT and diffusers, old and new, and the folders that the latter
write. In PEFT's layout each layer's alpha / rank is multiplied into its factors, and the layers of
a text encoder get the same rank, filled up with zeros: every program applies such a file alike.";

/// Rewrite a LoRA file in another layout or number format
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Convert {
    /// The LoRA file, or a folder that PEFT or diffusers wrote
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// The file to write
    #[arg(value_name = "OUT")]
    out: PathBuf,
    /// The layout: kohya's for A1111, ComfyUI and sd-scripts; PEFT's for diffusers
    #[arg(long, value_name = "LAYOUT", value_enum, default_value_t = Layout::Kohya)]
    to: Layout,
    /// Choose alphas with which diffusers, too, applies kohya's layout as it is meant; factors take up the change
    #[arg(long)]
    portable_alphas: bool,
    #[command(flatten)]
    output: LoraOutputArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Layout {
    Kohya,
    Peft,
}

impl Convert {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        prepare(&self.out, self.output.force)?;
        let (mut lora, form) = LoraFile::read_any_with_form(&self.input)?;
        if self.portable_alphas {
            lora = lora.with_portable_alphas();
        }
        let layout = match self.to {
            Layout::Kohya => LoraLayout::Kohya,
            Layout::Peft => LoraLayout::Peft,
        };
        let dtype = self.output.dtype.unwrap_or(form.dtype);
        let written = WrittenLora::write(&lora, &self.out, layout, dtype)?;
        if self.output.json {
            printer.document(&written);
        } else {
            printer.result(&written.text());
        }
        Ok(End::Done)
    }
}
