//! The recorded inputs of the reference runs, and a learner set up like them.

use std::{fs, path::PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use lora_core::{
    BaseModel, Family, Matrices, ModelSource, Precision, TokenIds, WeightFormat, adapter::LoraSpec,
    safetensors_file::SafetensorsFile, text_encoder::TokenRows,
};
use lora_optim::{Optimizer, OptimizerConfig};
use lora_train::{Batch, BatchText, DeviceChoice, Learner, NoiseDraws};
use serde::Deserialize;

pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/golden")
        .join(name)
}

/// Where to compute: on the CPU, or where `LORA_TEST_DEVICE` says.
pub fn device() -> Device {
    let choice = std::env::var("LORA_TEST_DEVICE").map_or(DeviceChoice::Cpu, |name| {
        name.parse().expect("LORA_TEST_DEVICE names a device")
    });
    choice.resolve().expect("LORA_TEST_DEVICE is there")
}

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

    /// Numbers of 64 bits.
    pub fn doubles(&self, name: &str) -> Vec<f64> {
        let stored = self.0.read(name).unwrap();
        let numbers = stored.bytes.as_chunks::<8>().0.iter();
        numbers.map(|eight| f64::from_le_bytes(*eight)).collect()
    }

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

    /// The tensor as a matrix: a convolution's input channels and kernel are joined.
    pub fn matrix(&self, name: &str) -> Tensor<2> {
        let rows = self.0.info(name).unwrap().shape[0];
        let values = self.values(name);
        let columns = values.len() / rows;
        Tensor::from_data(TensorData::new(values, [rows, columns]), &device())
    }

    /// Row `index` of a tensor whose rows have `shape`.
    fn row<const D: usize>(&self, name: &str, index: usize, shape: [usize; D]) -> Tensor<D> {
        let size: usize = shape.iter().product();
        let values = self.values(name)[index * size..(index + 1) * size].to_vec();
        Tensor::from_data(TensorData::new(values, shape), &device())
    }
}

/// What `profile.json` says about the runs.
#[derive(Deserialize)]
pub struct Profile {
    pub train: TrainProfile,
}

#[derive(Deserialize)]
pub struct TrainProfile {
    pub steps: usize,
    pub batch: usize,
    pub latent_hw: [usize; 2],
    pub network_dim: usize,
    pub network_alpha: f32,
    pub unet_lr: f64,
    pub text_lr: f64,
}

impl Profile {
    pub fn read() -> Self {
        serde_json::from_str(&fs::read_to_string(path("profile.json")).unwrap()).unwrap()
    }
}

/// A tiny model, in f32.
pub fn model(base: &str) -> BaseModel {
    model_in(base, Precision::F32)
}

/// A tiny model in another number format.
pub fn model_in(base: &str, format: impl Into<WeightFormat>) -> BaseModel {
    let WeightFormat {
        precision,
        eight_bit,
    } = format.into();
    let source = ModelSource {
        precision,
        eight_bit,
        ..ModelSource::new(path(base))
    };
    BaseModel::load(&source, &device()).unwrap()
}

/// A learner on the tiny model whose adapters start as the reference's did.
pub fn learner(base: &str, profile: &TrainProfile, max_grad_norm: f64) -> Learner {
    learner_with(base, profile, max_grad_norm, adamw())
}

/// As [`learner`], with another optimiser.
pub fn learner_with(
    base: &str,
    profile: &TrainProfile,
    max_grad_norm: f64,
    optimizer: Box<dyn Optimizer>,
) -> Learner {
    learner_on(model(base), base, profile, max_grad_norm, optimizer)
}

/// As [`learner_with`], on a model that is there.
pub fn learner_on(
    mut model: BaseModel,
    base: &str,
    profile: &TrainProfile,
    max_grad_norm: f64,
    optimizer: Box<dyn Optimizer>,
) -> Learner {
    let spec = LoraSpec {
        rank: profile.network_dim,
        alpha: profile.network_alpha,
        ..LoraSpec::default()
    };
    model.inject(&spec, 0, &device()).unwrap();
    let initial = Golden::open(&format!("train/{base}-init-lora.safetensors"));
    let names = initial
        .names()
        .into_iter()
        .filter(|name| name.ends_with(".weight"));
    let start: Matrices = names
        .map(|name| (name.clone(), initial.matrix(&name)))
        .collect();
    let downs = model
        .factors()
        .into_keys()
        .filter(|key| key.ends_with("lora_down.weight"));
    assert!(
        downs.eq(start.keys().cloned()),
        "the reference adapts other modules"
    );
    model.set_factors(&start);
    Learner::new(model, optimizer, max_grad_norm)
}

pub fn adamw() -> Box<dyn Optimizer> {
    OptimizerConfig::default().build().unwrap()
}

/// The recorded batch of `step`.
pub fn batch(profile: &TrainProfile, learner: &Learner, inputs: &Golden, step: usize) -> Batch {
    let [height, width] = profile.latent_hw;
    let count = profile.batch;
    let row = |name: &str| inputs.row(name, step, [count, 4, height, width]);
    let picked = &inputs.integers("index")[step * count..(step + 1) * count];
    let pictures = |name: &str| {
        let rows = picked
            .iter()
            .map(|&index| inputs.row(name, index as usize, [1, 4, height, width]));
        Tensor::cat(rows.collect(), 0)
    };
    let latents: Tensor<4> = pictures("vae_mean") + pictures("vae_std") * row("vae_eps");
    let towers = ["input_ids", "input_ids_2"].into_iter();
    let towers = towers.filter(|name| inputs.names().contains(&(*name).to_owned()));
    let rows = |name: &str| -> TokenRows {
        let ids: Vec<u32> = inputs.integers(name).iter().map(|&id| id as u32).collect();
        let rows = ids.as_chunks().0;
        picked.iter().map(|&index| rows[index as usize]).collect()
    };
    let is_sdxl = learner.model().family == Family::Sdxl;
    let pair = |name: &str, index: i32| {
        let values = inputs.values(name);
        [values[2 * index as usize], values[2 * index as usize + 1]]
    };
    let sizes = |&index: &i32| {
        let [height, width] = pair("original_size_hw", index);
        let [top, left] = pair("crop_top_left", index);
        let [target_height, target_width] = pair("target_size_hw", index);
        [height, width, top, left, target_height, target_width]
    };
    let timesteps = &inputs.integers("timesteps")[step * count..(step + 1) * count];
    Batch {
        latents: latents * learner.model().vae.scaling_factor(),
        noise: row("noise"),
        loss_weights: Vec::new(),
        mask: None,
        noise_offset: inputs.row("noise_offset_draw", step, [count, 4, 1, 1]),
        draws: NoiseDraws::default(),
        timesteps: timesteps
            .iter()
            .map(|&timestep| timestep as usize)
            .collect(),
        text: BatchText::Ids(TokenIds {
            chunks: 1,
            towers: towers.map(rows).collect(),
        }),
        sizes: if is_sdxl {
            picked.iter().map(sizes).collect()
        } else {
            Vec::new()
        },
    }
}
