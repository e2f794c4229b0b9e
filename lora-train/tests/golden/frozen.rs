//! What training must leave alone, and that it does not grow.

use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::Tensor;
use lora_core::{
    BaseModel,
    adapter::{DropoutRates, LoraSpec, Sites},
};
use lora_optim::Rates;
use lora_train::{Batch, Denoising, Objective, config::ObjectiveConfig};

use crate::reference_run::{Golden, Profile, batch, learner};

#[test]
fn gradients_go_to_the_adapters_and_to_nothing_else() {
    let profile = Profile::read().train;
    let inputs = Golden::open("train/tiny-sd15-inputs.safetensors");
    let mut learner = learner("tiny-sd15", &profile, 1.0);
    let objective = Denoising::new(&ObjectiveConfig::default(), learner.model(), 1);
    let before = weights(&mut learner);
    let batch = batch(&profile, &learner, &inputs, 0);
    let _ = learner.accumulate(&objective, &batch, 1.0);
    assert_eq!(learner.grads().len(), learner.params().len());
    learner.step(&Rates::new(1e-2)).unwrap();
    // Not one of the frozen weights tracks gradients or has moved.
    for ((path, before), (_, after)) in before.iter().zip(weights(&mut learner)) {
        assert!(*before == after, "{path} has moved");
    }
    assert!(learner.params().values().all(|matrix| !matrix.is_tracked()));
}

/// Sees whether the text states of a batch are part of the graph.
struct Watching {
    inner: Denoising,
    text_is_tracked: AtomicBool,
}

impl Objective for Watching {
    fn loss(&self, model: &BaseModel, batch: &Batch) -> Tensor<1> {
        let states = batch.conditions(model, 1).text;
        let tracked = states.is_autodiff() && states.is_tracked();
        self.text_is_tracked.store(tracked, Ordering::Relaxed);
        self.inner.loss(model, batch)
    }
}

/// Matrices of a group whose rate is 0 are constants: no gradient is computed of them, nor of what lies behind them.
#[test]
fn a_group_whose_rate_is_zero_is_no_work_for_the_backward_pass() {
    let profile = Profile::read().train;
    let inputs = Golden::open("train/tiny-sd15-inputs.safetensors");
    let take = |rates: &Rates| {
        let mut learner = learner("tiny-sd15", &profile, 1.0).freeze(rates);
        let objective = Watching {
            inner: Denoising::new(&ObjectiveConfig::default(), learner.model(), 1),
            text_is_tracked: AtomicBool::new(false),
        };
        let batch = batch(&profile, &learner, &inputs, 0);
        let loss = learner.accumulate(&objective, &batch, 1.0);
        let grads = learner.grads().clone();
        learner.step(rates).unwrap();
        let loss: f32 = loss.mean().into_scalar();
        (
            learner,
            grads,
            loss.to_bits(),
            objective.text_is_tracked.into_inner(),
        )
    };
    let start = learner("tiny-sd15", &profile, 1.0).params().clone();
    let all = Rates::new(1e-2);
    let (_, every, loss, tracked) = take(&all);
    assert!(tracked && every.len() == start.len());

    // The text encoder, and the down matrices of the mid block, as a rate of 0 for single keys has it.
    let resting = |key: &str| {
        key.starts_with("lora_te") || key.contains("mid_block") && key.ends_with("down.weight")
    };
    let factors = start.keys().filter(|key| resting(key));
    let factors = factors.map(|key| (key.clone(), 0.0)).collect();
    let (mut learner, some, same_loss, tracked) = take(&all.with_factors(&factors));
    assert!(!tracked, "the backward pass goes into the text encoder");
    assert_eq!(loss, same_loss);
    let expected: Vec<_> = start.keys().filter(|key| !resting(key)).collect();
    assert!(some.keys().eq(expected.iter().copied()) && expected.len() < start.len());
    let bits = |matrix: &Tensor<2>| -> Vec<u32> {
        let values: Vec<f32> = matrix.clone().try_into_vec_as().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    };
    let shown = learner.model_mut().factors();
    for (key, before) in &start {
        let after = &learner.params()[key];
        assert_eq!(bits(after) == bits(before), resting(key), "{key}");
        assert_eq!(bits(&shown[key]), bits(after), "{key}");
    }
    for (key, grad) in &some {
        assert_eq!(bits(grad), bits(&every[key]), "{key}");
    }
}

/// Every adaptable frozen weight's sum, and whether any of them tracks gradients.
fn weights(learner: &mut lora_train::Learner) -> Vec<(String, Vec<f32>)> {
    use lora_core::adapter::SiteWeight;
    let mut all = Vec::new();
    let model = learner.model_mut();
    for network in model.networks() {
        network.sites(&mut |_, site| {
            let values: Tensor<1> = match site.weight {
                SiteWeight::Linear(weight) => weight.tensor().flatten(0, 1),
                SiteWeight::Conv2d(weight) => weight.tensor().flatten(0, 3),
            };
            assert!(!values.is_autodiff(), "{} is in the graph", site.path);
            all.push((site.path.to_owned(), values.into_data().iter().collect()));
        });
    }
    all
}

/// What a step leaves out is left out of the gradient alone: whoever draws or measures afterwards sees all of it.
#[test]
fn what_was_dropped_is_back_when_the_gradient_is_there() {
    let profile = Profile::read().train;
    let inputs = Golden::open("train/tiny-sd15-inputs.safetensors");
    let spec = LoraSpec {
        dropout: DropoutRates {
            rank: 0.5,
            ..DropoutRates::default()
        },
        ..LoraSpec::default()
    };
    let mut learner = learner("tiny-sd15", &profile, 1.0).with_rules(&spec, 1);
    let objective = Denoising::new(&ObjectiveConfig::default(), learner.model(), 1);
    let batch = batch(&profile, &learner, &inputs, 0);
    let dropping = |model: &BaseModel| {
        let (mut unet, mut dropping) = (model.unet.clone(), 0);
        unet.sites(&mut |_, site| {
            let adapters = site.slot.iter();
            dropping += adapters.filter(|adapter| adapter.dropout.is_some()).count();
        });
        dropping
    };
    learner.drop_out(0);
    assert!(dropping(learner.model()) > 100);
    let _ = learner.accumulate(&objective, &batch, 1.0);
    assert_eq!(dropping(learner.model()), 0);
}
