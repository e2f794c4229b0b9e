//! Reading reference data and comparing with it.

use std::path::PathBuf;

use burn::tensor::{Device, Int, Tensor, TensorData};
use lora_core::{BaseModel, Precision, safetensors_file::SafetensorsFile};

/// A path below `testdata/golden`.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/golden")
        .join(name)
}

/// The tiny SD1.5 model, from its diffusers folder.
pub fn tiny_sd15() -> BaseModel {
    BaseModel::load(path("tiny-sd15"), None, Precision::F32, &Device::flex()).unwrap()
}

/// A safetensors file of reference tensors.
pub struct Golden(SafetensorsFile);

impl Golden {
    pub fn open(name: &str) -> Self {
        Self(SafetensorsFile::open(path(name)).unwrap())
    }

    pub fn names(&self) -> Vec<String> {
        self.0.names()
    }

    pub fn values(&self, name: &str) -> Vec<f32> {
        self.0.read(name).unwrap().to_f32().unwrap()
    }

    pub fn shape(&self, name: &str) -> Vec<usize> {
        self.0.info(name).unwrap().shape.clone()
    }

    pub fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let data = TensorData::new(self.values(name), self.shape(name));
        Tensor::from_data(data, &Device::flex())
    }

    /// An I32 tensor.
    pub fn integers(&self, name: &str) -> Vec<i32> {
        let stored = self.0.read(name).unwrap();
        stored
            .bytes
            .as_chunks::<4>()
            .0
            .iter()
            .map(|four| i32::from_le_bytes(*four))
            .collect()
    }

    pub fn ids<const D: usize>(&self, name: &str) -> Tensor<D, Int> {
        let data = TensorData::new(self.integers(name), self.shape(name));
        Tensor::from_data(data, &Device::flex())
    }
}

/// The largest difference over the largest reference value; the difference itself where the reference is all zero.
pub fn deviation(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let largest = expected
        .iter()
        .fold(0f32, |largest, value| largest.max(value.abs()));
    let difference = found
        .iter()
        .zip(expected)
        .fold(0f32, |worst, (found, expected)| {
            worst.max((found - expected).abs())
        });
    assert!(found.iter().all(|value| value.is_finite()));
    if largest > 0.0 {
        difference / largest
    } else {
        difference
    }
}

#[track_caller]
pub fn assert_close<const D: usize>(found: Tensor<D>, golden: &Golden, name: &str, limit: f32) {
    assert_eq!(found.dims().to_vec(), golden.shape(name), "{name}");
    let found: Vec<f32> = found.into_data().iter::<f32>().collect();
    let deviation = deviation(&found, &golden.values(name));
    assert!(
        deviation <= limit,
        "{name} deviates by {deviation:e}, more than {limit:e}"
    );
}
