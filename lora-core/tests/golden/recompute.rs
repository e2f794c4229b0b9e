//! Activation checkpointing: what is computed twice has the gradients of what was kept.

use std::collections::BTreeMap;

use burn::tensor::{Distribution, Tensor};
use lora_core::{
    ActivationCheckpointing, BaseModel, Matrices,
    adapter::{Algorithm, DropoutRates, LoraSpec, Target},
    unet::Conditions,
};

use crate::golden::{deviation, device, tiny};

/// Within the UNet the same sums are made, a few of them in another order.
const LIMIT: f32 = 1e-5;

/// What the blocks send back to the text encoder is added up in another order, and its layers pass the difference on.
const TEXT_LIMIT: f32 = 1e-4;

type Gradients = BTreeMap<String, Vec<f32>>;

/// A model whose adapters all do something.
fn model(name: &str, spec: &LoraSpec) -> (BaseModel, Matrices) {
    let device = device();
    let mut model = tiny(name);
    model.inject(spec, 7, &device).expect("a good spec");
    let noisy = |(key, matrix): (String, Tensor<2>)| {
        let noise = Tensor::random(matrix.dims(), Distribution::Normal(0.0, 0.05), &device);
        (key, matrix + noise)
    };
    let matrices = model.factors().into_iter().map(noisy).collect();
    (model, matrices)
}

/// The loss of a fixed batch and the gradients of all matrices.
fn gradients(
    model: &mut BaseModel,
    matrices: &Matrices,
    checkpointing: ActivationCheckpointing,
) -> (f32, Gradients) {
    let leaves: Matrices = matrices
        .iter()
        .map(|(key, matrix)| (key.clone(), matrix.clone().autodiff().require_grad()))
        .collect();
    model.set_factors(&leaves);
    model.unet.set_checkpointing(checkpointing);
    let captions = ["a cat", "a dog in the rain"].map(str::to_owned);
    let text = model.text.encode(&model.text.tokenize(&captions, 1), 1);
    let conditions = Conditions::new(text, &[[64.0, 64.0, 0.0, 0.0, 64.0, 64.0]; 2]);
    let steps: Vec<f32> = (0..2 * 4 * 256).map(|i| (i as f32 * 0.37).sin()).collect();
    let latents = Tensor::<1>::from_floats(steps.as_slice(), &device()).reshape([2, 4, 16, 16]);
    let out = model.unet.forward(latents, &[31.0, 700.0], &conditions);
    let loss = (out.clone() * out.sin()).mean();
    let mut all = loss.backward();
    let values = |x: Tensor<2>| x.into_data().iter::<f32>().collect();
    let found = leaves.iter().filter_map(|(key, leaf)| {
        let gradient = leaf.grad_remove(&mut all)?;
        Some((key.clone(), values(gradient)))
    });
    (loss.inner().into_scalar(), found.collect())
}

#[test]
fn gradients_are_the_same_with_checkpointing() {
    let everywhere = vec![Target::TextEncoder, Target::Attention, Target::Convolution];
    let spec = |algorithm| LoraSpec {
        algorithm,
        rank: 2,
        alpha: 1.0,
        conv_rank: Some(2),
        targets: everywhere.clone(),
        ..LoraSpec::default()
    };
    let dora = LoraSpec {
        dora: true,
        ..spec(Algorithm::Lora)
    };
    let dropping = LoraSpec {
        dropout: DropoutRates {
            hidden: 0.2,
            rank: 0.2,
            module: 0.3,
        },
        ..spec(Algorithm::Lora)
    };
    for (name, spec) in [
        ("tiny-sd15", spec(Algorithm::Lora)),
        ("tiny-sd21", spec(Algorithm::Loha)),
        ("tiny-sdxl", spec(Algorithm::Lokr)),
        ("tiny-sd15", dora),
        ("tiny-sd15", dropping),
    ] {
        let (mut model, matrices) = model(name, &spec);
        model.set_dropout(spec.dropout, Some([3, 5]));
        let (loss, plain) = gradients(&mut model, &matrices, ActivationCheckpointing::None);
        assert!(plain.len() > matrices.len() / 2);
        for checkpointing in [
            ActivationCheckpointing::Block,
            ActivationCheckpointing::Aggressive,
        ] {
            let (again, found) = gradients(&mut model, &matrices, checkpointing);
            assert!((loss - again).abs() <= LIMIT * loss.abs(), "{loss} {again}");
            for (key, expected) in &plain {
                let found = found.get(key).expect("a gradient for each matrix");
                let deviation = deviation(found, expected);
                let limit = if key.starts_with("lora_te") {
                    TEXT_LIMIT
                } else {
                    LIMIT
                };
                assert!(
                    deviation < limit,
                    "{name}, {checkpointing:?}: {key} deviates by {deviation:e}"
                );
            }
            // A dropped module has no gradient, or zeros.
            let others = found.iter().filter(|(key, _)| !plain.contains_key(*key));
            assert!(
                others
                    .flat_map(|(_, values)| values)
                    .all(|value| *value == 0.0)
            );
        }
    }
}
