use std::path::PathBuf;

use clap::Args;
use lora_train::import;

use crate::{cli::End, import_text, printer::Printer, run_file_output::RunFileOutput};

const EXAMPLES: &str = "\
Examples:
  lora import kohya.toml --out run.toml
  lora import autosave/20250101-120000.toml
  lora import my_lora.json --json | jq '.keys[] | select(.fate == \"not-supported\")'

Read are the TOML of kohya's train_network.py --config_file and of its --dataset_config, that of 秋叶's
lora-scripts, and the JSON of the kohya_ss GUI's LoRA page. What a file leaves out is kohya's default.";

/// Make a run file of another trainer's config, and tell what became of each of its keys
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Import {
    /// The other trainer's file; paths in it are taken from the working directory
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    output: RunFileOutput,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Import {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        self.output.check()?;
        let import = import::Import::open(&self.file)?;
        self.output
            .write(&import.text(self.output.folder(), &self.file))?;
        let file = self.output.out.display();
        printer.note(&format!(
            "{} is {}; wrote {file}",
            self.file.display(),
            import.format
        ));
        if self.json {
            printer.document(&import);
        } else {
            printer.result(&import_text::lines(&import).join("\n"));
        }
        Ok(End::Done)
    }
}
