//! Reading reference data and comparing with it.

use std::path::PathBuf;

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::{
    BaseModel, ModelSource, Precision, TokenIds, WeightFormat, safetensors_file::SafetensorsFile,
    text_encoder::TokenRows, tokenizer::ROW_LENGTH,
};

/// A path below `testdata/golden`.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/golden")
        .join(name)
}

/// Where to compute: on the CPU, or on the first GPU of the backend that `LORA_TEST_DEVICE` names, `wgpu` or `cuda`.
pub fn device() -> Device {
    match std::env::var("LORA_TEST_DEVICE").as_deref() {
        #[cfg(feature = "wgpu-untuned")]
        Ok("wgpu") => Device::enumerate(burn::tensor::DeviceType::Wgpu)[0].clone(),
        #[cfg(feature = "cuda")]
        Ok("cuda") => Device::enumerate(burn::tensor::DeviceType::Cuda)[0].clone(),
        Err(_) => Device::flex(),
        Ok(other) => panic!("LORA_TEST_DEVICE: {other} was not compiled in"),
    }
}

/// A tiny model, from its diffusers folder, in f32.
pub fn tiny(name: &str) -> BaseModel {
    tiny_in(name, Precision::F32)
}

/// A tiny model in another number format.
pub fn tiny_in(name: &str, format: impl Into<WeightFormat>) -> BaseModel {
    let WeightFormat {
        precision,
        eight_bit,
    } = format.into();
    let source = ModelSource {
        precision,
        eight_bit,
        ..ModelSource::new(path(name))
    };
    BaseModel::load(&source, &device()).unwrap()
}

/// The tiny SD1.5 model.
pub fn tiny_sd15() -> BaseModel {
    tiny("tiny-sd15")
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
        Tensor::from_data(data, &device())
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

    /// Rows of 77 token ids.
    pub fn rows(&self, name: &str) -> TokenRows {
        let ids: Vec<u32> = self
            .integers(name)
            .into_iter()
            .map(|id| id as u32)
            .collect();
        ids.as_chunks::<ROW_LENGTH>().0.iter().copied().collect()
    }

    /// Token ids of prompts of `chunks` rows, for one tower or two.
    pub fn ids(&self, names: &[&str], chunks: usize) -> TokenIds {
        let towers = names.iter().map(|name| self.rows(name)).collect();
        TokenIds { chunks, towers }
    }

    /// Six numbers about each picture's size.
    pub fn sizes(&self, name: &str) -> Vec<[f32; 6]> {
        self.values(name).as_chunks::<6>().0.to_vec()
    }

    pub fn timesteps(&self, name: &str) -> Vec<f32> {
        let timesteps = self.integers(name).into_iter();
        timesteps.map(|timestep| timestep as f32).collect()
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
