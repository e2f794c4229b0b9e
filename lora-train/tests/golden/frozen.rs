//! What training must leave alone, and that it does not grow.

use burn::tensor::Tensor;
use lora_optim::Rates;
use lora_train::{Denoising, config::ObjectiveConfig};

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
    assert_eq!(before, weights(&mut learner));
    assert!(learner.params().values().all(|matrix| !matrix.is_tracked()));
}

/// Every adaptable frozen weight's sum, and whether any of them tracks gradients.
fn weights(learner: &mut lora_train::Learner) -> Vec<(String, f32)> {
    use lora_core::adapter::SiteWeight;
    let mut sums = Vec::new();
    let model = learner.model_mut();
    for network in model.networks() {
        network.sites(&mut |_, site| {
            let values: Tensor<1> = match site.weight {
                SiteWeight::Linear(weight) => weight.clone().flatten(0, 1),
                SiteWeight::Conv2d(weight) => weight.clone().flatten(0, 3),
            };
            assert!(!values.is_autodiff(), "{} is in the graph", site.path);
            sums.push((
                site.path.to_owned(),
                values.abs().sum().into_scalar::<f32>(),
            ));
        });
    }
    sums
}
