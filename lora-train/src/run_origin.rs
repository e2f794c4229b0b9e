use std::{env, num::NonZeroUsize, thread};

use burn::tensor::Device;
use lora_core::lora_file::ModelHashes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    checkpoint::Sources, config::TrainConfig, device::arithmetic, hexadecimal::hexadecimal,
};

/// What a run is made from, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrigin {
    /// Name and version of the program.
    pub program: String,
    /// The device, and for a GPU what its driver calls it.
    pub device: String,
    /// Threads that the machine offers.
    pub threads: usize,
    /// Operating system and architecture.
    pub system: String,
    /// SHA-256 of `resolved.toml`, in hexadecimal.
    pub config_sha256: String,
    /// SHA-256 over the pictures, their captions, repeats and groups, in hexadecimal.
    pub data_sha256: String,
    /// SHA-256 over sizes, beginnings and ends of the model's files, in hexadecimal: what a checkpoint knows it by.
    pub model_digest: String,
    /// SHA-256 of the base model's file, in hexadecimal; absent where it is a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_sha256: Option<String>,
}

impl RunOrigin {
    pub(crate) fn new(
        config: &TrainConfig,
        sources: &Sources,
        model: Option<&ModelHashes>,
        device: &Device,
    ) -> Self {
        let choice = config.train.device.to_string();
        let device = match arithmetic(device) {
            name if choice.starts_with(&name) => choice,
            name => format!("{choice}, {name}"),
        };
        Self {
            program: concat!("lora ", env!("CARGO_PKG_VERSION")).to_owned(),
            device,
            threads: thread::available_parallelism().map_or(1, NonZeroUsize::get),
            system: format!("{} {}", env::consts::OS, env::consts::ARCH),
            config_sha256: hexadecimal(&Sha256::digest(&sources.config)),
            data_sha256: sources.data.clone(),
            model_digest: sources.model.clone(),
            model_sha256: model.map(|hashes| hashes.sha256.clone()),
        }
    }
}
