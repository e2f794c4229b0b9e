use std::path::{Path, PathBuf};

use clap::Args;
use lora_core::{Family, ModelConfigs, ModelSource, weights::Checkpoint};
use lora_train::bench::{LoadReport, Parameters, write_seeded_file};
use serde::Serialize;
use tempfile::TempPath;

use super::{Setting, gibibytes, grouped};
use crate::{cli::End, family_argument::family, printer::Printer};

/// Seeds the weights of a model that is made up.
const SEED: u64 = 1;

const EXAMPLES: &str = "\
Examples:
  lora bench load model.safetensors --precision bf16
  lora bench load --family sdxl --precision f16
  lora bench load --family sd2 --write sd2-seeded.safetensors";

/// Load a model once: how long it takes, and the most memory that it needs on the way
///
/// Without a model, one of full size is written to a file of seeded weights (2.1 GB for sd1, 2.6 GB for sd2, 6.9 GB
/// for sdxl) and loaded from there.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Load {
    /// The base model: a diffusers folder or a .safetensors checkpoint
    #[arg(value_name = "MODEL")]
    model: Option<PathBuf>,
    /// The family of the model that is made up
    #[arg(long, value_name = "FAMILY", value_parser = family(), default_value = "sd1", conflicts_with = "model")]
    family: Family,
    /// A diffusers folder whose configs are used: the model's own shape, or that of the one that is made up
    #[arg(long, value_name = "FOLDER")]
    config: Option<PathBuf>,
    /// Where to keep the file that is made up; a temporary one is removed
    #[arg(long, value_name = "FILE", conflicts_with = "model")]
    write: Option<PathBuf>,
    #[command(flatten)]
    setting: Setting,
}

#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    report: LoadReport,
    device: String,
    beyond_the_model: Option<u64>,
}

impl Load {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let choice = self.setting.device.settle()?;
        let device = choice.resolve()?;
        // Removes the file when it is dropped, at the end.
        let temporary: TempPath;
        let path: &Path = match (&self.model, &self.write) {
            (Some(model), _) => model,
            (None, Some(file)) => {
                self.make_up(file, printer)?;
                file
            }
            (None, None) => {
                let file = tempfile::Builder::new().suffix(".safetensors").tempfile()?;
                temporary = file.into_temp_path();
                self.make_up(&temporary, printer)?;
                &temporary
            }
        };
        let source = ModelSource {
            config: self.config.clone(),
            precision: self.setting.precision,
            eight_bit: self.setting.eight_bit,
            ..ModelSource::new(path)
        };
        let report = LoadReport::measure(&source, &device)?;
        let document = Document {
            beyond_the_model: report.beyond_the_model(),
            device: choice.to_string(),
            report,
        };
        if self.setting.json {
            printer.document(&document);
        } else {
            printer.result(&text(&document));
        }
        Ok(End::Done)
    }

    /// Writes a model of seeded weights.
    fn make_up(&self, file: &Path, printer: &Printer) -> anyhow::Result<()> {
        let configs = match &self.config {
            Some(folder) => ModelConfigs::read(&Checkpoint::open(folder, None)?)?,
            None => ModelConfigs::published(self.family),
        };
        let bytes = 2 * Parameters::of(&configs).sum() as u64;
        let place = file.display();
        printer.note(&format!(
            "writing {} of seeded weights to {place}",
            gibibytes(bytes)
        ));
        Ok(write_seeded_file(file, &configs, SEED)?)
    }
}

fn text(document: &Document) -> String {
    let Document {
        report,
        device,
        beyond_the_model,
    } = document;
    let precision = serde_json::to_value(report.precision).unwrap_or_default();
    let precision = precision.as_str().unwrap_or_default();
    let parameters = report.parameters;
    let mut lines = vec![
        report.path.display().to_string(),
        format!(
            "  {}: {} parameters (text {}, UNet {}, VAE {})",
            report.family,
            grouped(parameters.sum()),
            grouped(parameters.text_encoders),
            grouped(parameters.unet),
            grouped(parameters.vae)
        ),
    ];
    lines.extend(
        report
            .file_bytes
            .map(|bytes| format!("  file           {}", gibibytes(bytes))),
    );
    lines.push(format!("  on             {device}"));
    lines.push(format!("  loaded in      {:.2} s", report.seconds));
    let size = gibibytes(report.model_bytes);
    lines.push(format!("  size in {precision:7}{size}"));
    if let (Some(peak), Some(beyond)) = (report.peak_resident, beyond_the_model) {
        let (peak, beyond) = (gibibytes(peak), gibibytes(*beyond));
        lines.push(format!(
            "  peak in RAM    {peak}, {beyond} beyond the model"
        ));
    } else {
        lines.push("  peak in RAM    not told by this system".to_owned());
    }
    lines.join("\n")
}
