//! What the benchmarks work on: the models that the project carries, and a batch for each.
//!
//! `LORA_BENCH_DEVICE` chooses the device (`cpu`, `wgpu`, `cuda:1` …) and is `cpu` where it is unset; `LORA_BENCH_PRECISION` chooses the
//! number format of the layers (`f32`, `bf16`, `f16`), which is f32 where it is unset.

use std::{env, path::PathBuf};

use burn::tensor::{Device, Distribution, Tensor};
use lora_core::{
    BaseModel, ModelSource, Precision, TokenIds, adapter::LoraSpec, tokenizer::ROW_LENGTH,
};
use lora_optim::OptimizerConfig;
use lora_train::{Batch, BatchText, DeviceChoice, Learner, NoiseDraws};

/// A model to measure and the size of its training pictures.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    /// Its name in reports.
    pub name: &'static str,
    /// Its folder, from the project's root.
    folder: &'static str,
    /// Height and width of its latents.
    latents: usize,
}

/// The golden tests' tiny SD1.5 and the quick start's small one.
pub const SUBJECTS: [Subject; 2] = [
    Subject {
        name: "tiny-sd15",
        folder: "testdata/golden/tiny-sd15",
        latents: 16,
    },
    Subject {
        name: "mini",
        folder: "assets/mini/base",
        latents: 16,
    },
];

/// The device that the environment names.
///
/// # Panics
/// When it names none, or one that is not there: a benchmark on another device would mislead.
pub fn device() -> Device {
    let name = env::var("LORA_BENCH_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    let choice: Result<DeviceChoice, _> = name.parse();
    choice
        .and_then(DeviceChoice::resolve)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// The number format that the environment names.
///
/// # Panics
/// When it names none, or one that `device` does not compute in.
pub fn precision(device: &Device) -> Precision {
    let name = env::var("LORA_BENCH_PRECISION").unwrap_or_else(|_| "f32".to_owned());
    let named = Precision::ALL
        .into_iter()
        .find(|known| known.name() == name);
    let precision = named.unwrap_or_else(|| panic!("LORA_BENCH_PRECISION: {name} is no format"));
    assert!(
        precision.is_on(device),
        "the device does not compute in {name}"
    );
    precision.on(device)
}

impl Subject {
    /// The model without adapters.
    ///
    /// # Panics
    /// When the project's own files are not there.
    pub fn model(self, device: &Device) -> BaseModel {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("..")
            .join(self.folder);
        let source = ModelSource {
            precision: precision(device),
            ..ModelSource::new(folder)
        };
        BaseModel::load(&source, device).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The model in training: rank 16 on attention and text encoder, AdamW, clipping.
    ///
    /// # Panics
    /// When the project's own files are not there.
    pub fn learner(self, device: &Device) -> Learner {
        let mut model = self.model(device);
        let injected = model.inject(&LoraSpec::default(), 1, device);
        injected.unwrap_or_else(|error| panic!("{error}"));
        let optimizer = OptimizerConfig::default().build();
        Learner::new(
            model,
            optimizer.unwrap_or_else(|errors| panic!("{errors:?}")),
            1.0,
        )
    }

    /// A random batch.
    pub fn batch(self, count: usize, device: &Device) -> Batch {
        let normal = |shape| Tensor::random(shape, Distribution::Normal(0.0, 1.0), device);
        Batch {
            latents: normal([count, 4, self.latents, self.latents]),
            noise: normal([count, 4, self.latents, self.latents]),
            loss_weights: Vec::new(),
            mask: None,
            noise_offset: normal([count, 4, 1, 1]),
            draws: NoiseDraws::default(),
            timesteps: (0..count).map(|item| (item * 997 + 31) % 1000).collect(),
            text: BatchText::Ids(TokenIds {
                chunks: 1,
                towers: vec![vec![[320; ROW_LENGTH]; count].into()],
            }),
            sizes: vec![[512.0, 512.0, 0.0, 0.0, 512.0, 512.0]; count],
        }
    }
}
