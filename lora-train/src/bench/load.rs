use std::{fs, path::PathBuf, time::Instant};

use burn::tensor::Device;
use lora_core::{
    BaseModel, Family, ModelConfigs, ModelSource, Precision, WeightFormat,
    weights::{Checkpoint, CheckpointError},
};
use serde::Serialize;

use super::{Parameters, forget_peak_resident, peak_resident};

/// What it took to load a base model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LoadReport {
    /// Its file or folder.
    pub path: PathBuf,
    /// The length of a single file in bytes.
    pub file_bytes: Option<u64>,
    /// What family it is of.
    pub family: Family,
    /// Numbers in its networks.
    pub parameters: Parameters,
    /// The number format of its weights in memory.
    pub precision: Precision,
    /// Whether the UNet's weights are held in eight bits.
    pub eight_bit: bool,
    /// Bytes of all its numbers in that format.
    pub model_bytes: u64,
    /// How long it took.
    pub seconds: f64,
    /// Bytes in RAM before; unknown where the system does not tell.
    pub resident_before: Option<u64>,
    /// The most that was in RAM while it loaded.
    pub peak_resident: Option<u64>,
}

impl LoadReport {
    /// Loads the model onto `device`, and drops it again.
    ///
    /// On a GPU the weights leave the process' memory, and the peak tells what passes through it.
    ///
    /// # Errors
    /// As [`BaseModel::load`].
    pub fn measure(source: &ModelSource, device: &Device) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::open(&source.path, source.config.as_deref())?;
        let configs = ModelConfigs::read(&checkpoint)?;
        let parameters = Parameters::of(&configs);
        drop(checkpoint);

        forget_peak_resident();
        let resident_before = peak_resident();
        let start = Instant::now();
        let model = BaseModel::load(source, device)?;
        // A GPU that cannot finish says so where it is used next.
        let _ = device.sync();
        let seconds = start.elapsed().as_secs_f64();
        let peak_resident = peak_resident();
        drop(model);

        let format = WeightFormat {
            precision: source.precision.on(device),
            ..source.format()
        };
        let others = (parameters.sum() - parameters.unet) * format.precision.bytes();
        let bytes = format.unet_bytes(parameters.unet as u64) + others as u64;
        let file = fs::metadata(&source.path)
            .ok()
            .filter(fs::Metadata::is_file);
        Ok(Self {
            path: source.path.clone(),
            file_bytes: file.map(|file| file.len()),
            family: configs.family,
            parameters,
            precision: format.precision,
            eight_bit: format.eight_bit,
            model_bytes: bytes,
            seconds,
            resident_before,
            peak_resident,
        })
    }

    /// How much more than the model itself was in RAM at most; 0 where it went elsewhere.
    pub fn beyond_the_model(&self) -> Option<u64> {
        Some(self.peak_resident?.saturating_sub(self.model_bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::super::write_seeded_file;
    use super::*;

    /// The file of each tiny model, made from its configs, is a model that loads whole.
    #[test]
    fn a_seeded_file_of_any_family_loads() {
        let folder = tempfile::tempdir().expect("a folder");
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden");
        for name in ["tiny-sd15", "tiny-sd21", "tiny-sdxl"] {
            let config = PathBuf::from(golden).join(name);
            let checkpoint = Checkpoint::open(&config, None).expect("a folder");
            let configs = ModelConfigs::read(&checkpoint).expect("configs");
            let path = folder.path().join(name).with_extension("safetensors");
            write_seeded_file(&path, &configs, 1).expect("written");
            let source = ModelSource {
                config: Some(config),
                precision: Precision::F16,
                ..ModelSource::new(&path)
            };
            let report = LoadReport::measure(&source, &Device::flex()).expect("a model");
            assert_eq!(report.family, configs.family);
            let stored: usize = configs
                .single_file_tensors()
                .values()
                .map(|shape| shape.iter().product::<usize>())
                .sum();
            assert_eq!(report.parameters.sum(), stored);
            assert_eq!(report.model_bytes, 2 * stored as u64);
            assert!(report.file_bytes > Some(report.model_bytes));
        }
    }
}
