//! What an optimiser wants drawn and saved is in the model, whatever is being trained.

use burn::tensor::Device;
use lora_optim::{Matrices, Optimizer, OptimizerError, Rates, State, StateError};
use lora_train::{Denoising, Learner, config::ObjectiveConfig};

use crate::reference_run::{Golden, Profile, batch, learner, learner_with};

/// Moves nothing, and would have zeros shown.
struct Zeros;

impl Optimizer for Zeros {
    fn step(&mut self, _: &mut Matrices, _: Matrices, _: &Rates) -> Result<(), OptimizerError> {
        Ok(())
    }

    fn averaged(&self, params: &Matrices) -> Option<Matrices> {
        let zeros = params.iter();
        Some(
            zeros
                .map(|(key, p)| (key.clone(), p.zeros_like()))
                .collect(),
        )
    }

    fn state(&self) -> State {
        State::default()
    }

    fn restore(&mut self, state: State, _: &Device) -> Result<(), StateError> {
        state.finish()
    }
}

#[test]
fn the_model_holds_the_average_between_steps_and_the_trained_matrices_within() {
    let profile = Profile::read().train;
    let inputs = Golden::open("train/tiny-sd15-inputs.safetensors");
    let mut plain = learner("tiny-sd15", &profile, 1.0);
    let batch = batch(&profile, &plain, &inputs, 0);
    let objective = Denoising::new(&ObjectiveConfig::default(), plain.model(), 1);
    let loss_bits = |learner: &mut Learner| {
        let loss = learner.accumulate(&objective, &batch, 1.0);
        loss.mean().into_scalar::<f32>().to_bits()
    };
    let sum = |matrices: &Matrices| -> f32 {
        let sums = matrices.values();
        sums.map(|m| m.clone().abs().sum().into_scalar::<f32>())
            .sum()
    };
    let expected = loss_bits(&mut plain);
    assert!(sum(plain.params()) > 0.0);

    let mut learner = learner_with("tiny-sd15", &profile, 1.0, Box::new(Zeros));
    for _ in 0..2 {
        assert_eq!(loss_bits(&mut learner), expected);
        learner.step(&Rates::new(1.0)).unwrap();
        assert_eq!(sum(&learner.model_mut().factors()).to_bits(), 0);
        assert_eq!(
            sum(learner.params()).to_bits(),
            sum(plain.params()).to_bits()
        );
    }
    // Also when gradients have been gathered and the step is still to come.
    let _ = loss_bits(&mut learner);
    assert_eq!(sum(&learner.model_mut().factors()).to_bits(), 0);
}
