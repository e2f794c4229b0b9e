use std::path::PathBuf;

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser},
};
use lora_core::{BaseModel, ModelSource, Precision, diffusion::PredictionType};
use lora_train::{Device, DeviceChoice, config::ModelConfig};

use crate::printer::Printer;

/// Which model draws, and where.
#[derive(Args, Debug)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArguments {
    /// The base model: a diffusers folder or a .safetensors checkpoint
    #[arg(short, long, value_name = "PATH")]
    pub(crate) model: PathBuf,
    /// A diffusers folder whose configs are used instead of the model's, for checkpoints of unusual shape
    #[arg(long, value_name = "FOLDER")]
    config: Option<PathBuf>,
    /// Another VAE than the model's: a diffusers VAE folder or a .safetensors file
    #[arg(long, value_name = "PATH")]
    pub(crate) vae: Option<PathBuf>,
    /// The model predicts the velocity (or not, with `false`), where its files do not say so
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    v_prediction: Option<bool>,
    /// The model's noise ends in pure noise (or not, with `false`), where its files do not say so
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    zero_terminal_snr: Option<bool>,
    /// Number format of the model's weights
    #[arg(long, value_name = "FORMAT", value_parser = precision(), default_value = "auto")]
    precision: Precision,
    /// Hold the UNet's weights in eight bits: a quarter of f32's memory, slower
    #[arg(long)]
    eight_bit: bool,
    /// Use the n-th last layer of the text encoder; anime models usually want 2
    #[arg(long, value_name = "N", default_value_t = ModelConfig::default().clip_skip, value_parser = at_least_one)]
    pub(crate) clip_skip: usize,
    /// Where to compute.
    // Not a doc comment: rustdoc takes the brackets for links.
    #[arg(long, default_value_t = DeviceChoice::Auto, help = "Where to compute: auto, cpu, wgpu[:n], vulkan[:n] or cuda[:n]")]
    device: DeviceChoice,
}

impl ModelArguments {
    /// Loads the model; says which device was taken, and what may not be expected of the model.
    pub(crate) fn load(&self, printer: &Printer) -> anyhow::Result<(BaseModel, Device)> {
        let choice = self.device.settle()?;
        let device = choice.resolve()?;
        printer.note(&format!("device: {choice}"));
        let model = BaseModel::load(&self.source(), &device)?;
        for note in &model.notes {
            printer.note(note);
        }
        Ok((model, device))
    }

    /// Where it is read from.
    pub(crate) fn source(&self) -> ModelSource {
        ModelSource {
            path: self.model.clone(),
            config: self.config.clone(),
            vae: self.vae.clone(),
            prediction_type: self.v_prediction.map(PredictionType::of_velocity),
            zero_terminal_snr: self.zero_terminal_snr,
            precision: self.precision,
            eight_bit: self.eight_bit,
        }
    }
}

pub(crate) fn precision() -> impl TypedValueParser<Value = Precision> {
    let names = Precision::ALL.map(Precision::name);
    PossibleValuesParser::new(names).map(|name| {
        let named = |precision: &Precision| precision.name() == name;
        Precision::ALL.into_iter().find(named).unwrap_or_default()
    })
}

/// A count that starts at 1.
pub(crate) fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("a whole number from 1 up is needed".to_owned()),
    }
}
