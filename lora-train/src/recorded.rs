//! Reading `testdata` in the tests of the objective.

use std::{fs, path::PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::safetensors_file::SafetensorsFile;
use serde::Deserialize;

use crate::config::ObjectiveConfig;

fn path(name: &str) -> PathBuf {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata");
    PathBuf::from(data).join(name)
}

/// A safetensors file of reference tensors.
pub(crate) struct Tensors(SafetensorsFile);

/// A file below `testdata/golden`.
pub(crate) fn golden(name: &str) -> Tensors {
    tensors(&format!("golden/{name}"))
}

/// A file below `testdata`.
pub(crate) fn tensors(name: &str) -> Tensors {
    Tensors(SafetensorsFile::open(path(name)).expect("reference data"))
}

impl Tensors {
    pub(crate) fn values(&self, name: &str) -> Vec<f32> {
        let stored = self.0.read(name).expect("a recorded tensor");
        stored.to_f32().expect("floats")
    }

    pub(crate) fn shape(&self, name: &str) -> Vec<usize> {
        self.0.info(name).expect("a recorded tensor").shape.clone()
    }

    pub(crate) fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let data = TensorData::new(self.values(name), self.shape(name));
        Tensor::from_data(data, &Device::flex())
    }
}

/// `testdata/objective/objective.json`, but for the whole losses.
#[derive(Deserialize)]
pub(crate) struct Recorded {
    pub(crate) weight_rows: Vec<usize>,
    pub(crate) weights: Vec<RecordedWeights>,
    pub(crate) pyramid_factors: Vec<f64>,
    pub(crate) quantiles: Vec<f64>,
    pub(crate) normal: Vec<f64>,
    pub(crate) logit_normal: Vec<RecordedTimesteps>,
}

#[derive(Deserialize)]
pub(crate) struct RecordedWeights {
    pub(crate) settings: ObjectiveConfig,
    pub(crate) velocity: bool,
    pub(crate) weights: Vec<f64>,
}

#[derive(Deserialize)]
pub(crate) struct RecordedTimesteps {
    pub(crate) mean: f64,
    pub(crate) std: f64,
    pub(crate) min: usize,
    pub(crate) max: usize,
    pub(crate) timesteps: Vec<usize>,
}

impl Recorded {
    pub(crate) fn read() -> Self {
        let text = fs::read_to_string(path("objective/objective.json")).expect("reference data");
        serde_json::from_str(&text).expect("valid JSON")
    }
}
