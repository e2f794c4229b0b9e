use std::path::PathBuf;

use clap::Args;
use lora_train::{
    DeviceChoice,
    config::{ConfigError, TrainConfig},
};

/// The config of a run, with changes from the command line.
#[derive(Args, Debug)]
pub(crate) struct RunFile {
    /// The run's config
    #[arg(value_name = "RUN.toml")]
    path: PathBuf,
    /// Set a value of the config, as train.epochs=5; relative paths are from the working directory
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// Where to compute.
    // Not a doc comment: rustdoc takes the brackets for links.
    #[arg(
        long,
        help = "Where to compute: auto, cpu, wgpu[:n], vulkan[:n] or cuda[:n]; short for --set train.device=…"
    )]
    device: Option<DeviceChoice>,
}

impl RunFile {
    pub(crate) fn read(&self) -> Result<TrainConfig, ConfigError> {
        let mut config = TrainConfig::read(&self.path, &self.overrides)?;
        if let Some(device) = self.device {
            config.train.device = device;
        }
        Ok(config)
    }
}
