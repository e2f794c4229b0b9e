//! Whole losses and their gradients under each setting of the objective, against PyTorch and sd-scripts' functions: see
//! `testdata/objective/generate.py`.

use std::{collections::BTreeMap, fs, path::PathBuf};

use burn::tensor::{Tensor, TensorData};
use lora_core::{BaseModel, ModelSource, Precision, TextStates, safetensors_file::SafetensorsFile};
use lora_train::{Batch, BatchText, Denoising, NoiseDraws, Objective, config::ObjectiveConfig};
use serde::Deserialize;

use crate::reference_run::device;

/// Both compute in f32; the reference's ᾱ is a product of 1,000 factors in f32.
/// Rounding alone makes 1.1e-6.
const LOSS_LIMIT: f64 = 3e-6;
/// Largest difference over largest value; rounding alone makes 2e-5.
const GRADIENT_LIMIT: f32 = 5e-5;

#[derive(Deserialize)]
struct Record {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    base: String,
    settings: ObjectiveConfig,
    #[serde(default)]
    mask: bool,
    #[serde(default)]
    loss_weights: bool,
    loss: f64,
}

struct Data(SafetensorsFile);

impl Data {
    fn open() -> Self {
        Self(SafetensorsFile::open(path("objective/objective.safetensors")).expect("recorded data"))
    }

    fn values(&self, name: &str) -> Vec<f32> {
        let stored = self.0.read(name).expect("a recorded tensor");
        stored.to_f32().expect("floats")
    }

    fn tensor<const D: usize>(&self, name: &str) -> Tensor<D> {
        let shape = self.0.info(name).expect("a recorded tensor").shape.clone();
        Tensor::from_data(TensorData::new(self.values(name), shape), &device())
    }

    /// One number for each item, `[batch, 1, 1, 1]`.
    fn column(&self, name: &str) -> Tensor<4> {
        let values = self.values(name);
        let shape = [values.len(), 1, 1, 1];
        Tensor::from_data(TensorData::new(values, shape), &device())
    }

    /// The mean of each latent's 8 × 8 pixels.
    fn mask(&self) -> Tensor<4> {
        let pixels: Tensor<3> = self.tensor("mask_pixels");
        let [count, height, width] = pixels.dims();
        let blocks = pixels.reshape([count, height / 8, 8, width / 8, 8]);
        let means = blocks.mean_dim(4).mean_dim(2);
        means.reshape([count, 1, height / 8, width / 8])
    }

    fn batch(&self, case: &Case) -> Batch {
        let settings = &case.settings;
        let base = case.base.trim_end_matches("-zero");
        let draws = NoiseDraws {
            offset_strength: settings
                .noise_offset_random_strength
                .then(|| self.column("offset_strength")),
            pyramid: settings
                .multires_noise_iterations
                .map(|_| self.tensor("pyramid")),
            perturbation: settings
                .input_perturbation
                .map(|_| self.tensor("perturbation")),
            perturbation_strength: settings
                .input_perturbation_random_strength
                .then(|| self.column("perturbation_strength")),
        };
        let states = TextStates {
            states: self.tensor(&format!("{base}.context")),
            pooled: None,
        };
        Batch {
            latents: self.tensor::<4>("latents").autodiff().require_grad(),
            noise: self.tensor("noise"),
            noise_offset: self.tensor("noise_offset"),
            draws,
            timesteps: vec![3, 417, 888, 999],
            text: BatchText::States(states),
            sizes: Vec::new(),
            loss_weights: if case.loss_weights {
                self.values("loss_weights")
            } else {
                Vec::new()
            },
            mask: case.mask.then(|| self.mask()),
        }
    }
}

fn path(name: &str) -> PathBuf {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata");
    PathBuf::from(data).join(name)
}

fn model(base: &str) -> BaseModel {
    let folder = base.trim_end_matches("-zero");
    let source = ModelSource {
        zero_terminal_snr: base.ends_with("-zero").then_some(true),
        precision: Precision::F32,
        ..ModelSource::new(path("golden").join(folder))
    };
    BaseModel::load(&source, &device()).expect("a model")
}

fn record() -> Record {
    let text = fs::read_to_string(path("objective/objective.json")).expect("recorded data");
    serde_json::from_str(&text).expect("valid JSON")
}

fn gradient_of(loss: &Tensor<1>, latents: &Tensor<4>) -> Vec<f32> {
    let mut gradients = loss.backward();
    let gradient = latents.grad_remove(&mut gradients).expect("a gradient");
    gradient.into_data().iter::<f32>().collect()
}

#[test]
fn every_setting_gives_pytorchs_loss_and_gradient() {
    let data = Data::open();
    let mut models: BTreeMap<String, BaseModel> = BTreeMap::new();
    let cases = record().cases;
    assert_eq!(cases.len(), 39);
    let mut failures = Vec::new();
    for case in cases {
        let model = models
            .entry(case.base.clone())
            .or_insert_with(|| model(&case.base));
        let checked = Denoising::check(&case.settings, model);
        assert_eq!(checked, Ok(()), "{}", case.name);
        let batch = data.batch(&case);
        let losses = Denoising::new(&case.settings, model, 1).loss(model, &batch);
        assert_eq!(losses.dims(), [batch.len()]);
        let loss = losses.mean();
        let found = f64::from(loss.clone().into_scalar::<f32>());
        if (found / case.loss - 1.0).abs() > LOSS_LIMIT {
            failures.push(format!("{}: loss {found}, not {}", case.name, case.loss));
        }
        let gradient = gradient_of(&loss, &batch.latents);
        let expected = data.values(&format!("{}.gradient", case.name));
        let deviation = deviation(&gradient, &expected);
        if deviation > GRADIENT_LIMIT {
            failures.push(format!("{}: gradient by {deviation:e}", case.name));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The largest difference over the largest value; NaN counts as infinite.
fn deviation(found: &[f32], expected: &[f32]) -> f32 {
    let most = |values: &mut dyn Iterator<Item = f32>| {
        values.fold(0f32, |most, value| most.max(value.abs()))
    };
    if found.len() != expected.len() || found.iter().any(|value| !value.is_finite()) {
        return f32::INFINITY;
    }
    let mut differences = found.iter().zip(expected).map(|(f, e)| f - e);
    most(&mut differences) / most(&mut expected.iter().copied())
}

/// The second picture's mask is black; items do not meet anywhere in the network.
#[test]
fn what_is_masked_out_gets_no_gradient() {
    let data = Data::open();
    let mut cases = record().cases;
    cases.retain(|case| case.mask);
    let model = model("tiny-sd15");
    assert_eq!(cases.len(), 2);
    for case in cases {
        let batch = data.batch(&case);
        let loss = Denoising::new(&case.settings, &model, 1).loss(&model, &batch);
        let loss = loss.mean();
        let gradient = gradient_of(&loss, &batch.latents);
        let (masked, others): (Vec<_>, Vec<_>) = gradient
            .chunks_exact(gradient.len() / 4)
            .enumerate()
            .partition(|(item, _)| *item == 1);
        assert!(
            masked[0]
                .1
                .iter()
                .all(|value| value.abs() < f32::MIN_POSITIVE)
        );
        assert!(
            others
                .iter()
                .all(|(_, item)| item.iter().any(|value| value.abs() > 1e-6))
        );
    }
}

/// The same input, and a target that differs by `change` in some places only: noise and perturbation of the input make up
/// for one another.
fn with_changed_target(batch: &Batch, change: Tensor<4>) -> Batch {
    let perturbation = batch.draws.perturbation.clone().expect("drawn");
    Batch {
        noise: batch.noise.clone() + change.clone(),
        draws: NoiseDraws {
            perturbation: Some(perturbation - change * 2.0),
            ..batch.draws.clone()
        },
        ..batch.clone()
    }
}

#[test]
fn what_the_target_is_under_a_mask_does_not_matter() {
    let data = Data::open();
    let model = model("tiny-sd15");
    let settings = ObjectiveConfig {
        input_perturbation: Some(0.5),
        ..ObjectiveConfig::default()
    };
    let mut mask = vec![1.0f32; 64];
    mask[..24].fill(0.0);
    let mask = Tensor::<4>::from_data(TensorData::new(mask, [1, 1, 8, 8]), &device());
    let batch = Batch {
        mask: Some(mask.clone().repeat_dim(0, 4)),
        ..data.batch(&Case {
            name: String::new(),
            base: "tiny-sd15".to_owned(),
            settings: settings.clone(),
            mask: false,
            loss_weights: false,
            loss: 0.0,
        })
    };
    let objective = Denoising::new(&settings, &model, 1);
    let outcome = |batch: &Batch| {
        let loss = objective.loss(&model, batch).mean();
        let gradient = gradient_of(&loss, &batch.latents);
        (loss.into_scalar::<f32>(), gradient)
    };
    let (loss, gradient) = outcome(&batch);
    let changed = |mask: Tensor<4>| {
        outcome(&with_changed_target(
            &batch,
            data.tensor::<4>("noise").sign() * mask,
        ))
    };
    let (under, under_gradient) = changed(-mask.clone() + 1.0);
    let (beside, _) = changed(mask);
    // The input's two parts round.
    assert!((under / loss - 1.0).abs() < 1e-5, "{under} {loss}");
    assert!((beside / loss - 1.0).abs() > 0.1, "{beside} {loss}");
    let largest = gradient
        .iter()
        .fold(0f32, |most, value| most.max(value.abs()));
    let pairs = gradient.iter().zip(&under_gradient);
    assert!(
        pairs
            .into_iter()
            .all(|(one, other)| (one - other).abs() < 1e-4 * largest)
    );
}
