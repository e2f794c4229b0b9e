//! Twenty steps of the reference runs of other optimisers than AdamW.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::{Device, Tensor};
use lora_core::Matrices;
use lora_optim::{Optimizer, OptimizerConfig, OptimizerError, Rates, State, StateError};
use lora_train::{Denoising, config::ObjectiveConfig};

use crate::reference_run::{Golden, Profile, batch, learner_with};

/// golden/README.md's: rounding alone moves losses by 1e-6, the final weights by 1e-4 of their way.
const LOSS_LIMIT: f64 = 1e-4;
const NORM_LIMIT: f64 = 1e-3;
const FINAL_LIMIT: f64 = 1e-2;
const D_LIMIT: f64 = 1e-3;

/// Notes the estimate of D-Adaptation after each step.
struct Watched {
    inner: Box<dyn Optimizer>,
    estimates: Arc<Mutex<Vec<f64>>>,
}

impl Optimizer for Watched {
    fn step(
        &mut self,
        params: &mut Matrices,
        grads: Matrices,
        rates: &Rates,
    ) -> Result<(), OptimizerError> {
        self.inner.step(params, grads, rates)?;
        let state = self.inner.state();
        let estimates = state
            .tensors
            .iter()
            .filter(|(name, _)| name.ends_with("/d"));
        let mut noted = self
            .estimates
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        noted.extend(
            estimates.map(|(_, data)| f64::from(data.try_to_vec::<f32>().expect("f32")[0])),
        );
        Ok(())
    }

    fn state(&self) -> State {
        self.inner.state()
    }

    fn restore(&mut self, state: State, device: &Device) -> Result<(), StateError> {
        self.inner.restore(state, device)
    }
}

struct Case {
    name: &'static str,
    optimizer: &'static str,
    /// Of the UNet and of the text encoders; the profile's where unset.
    rates: Option<[f64; 2]>,
    max_grad_norm: f64,
    /// Steps until which losses and norms agree, and whether the final weights do.
    steps: usize,
    finals: bool,
}

#[test]
fn lion() {
    for base in ["tiny-sd15", "tiny-sdxl"] {
        follow(
            base,
            &Case {
                name: "lion",
                optimizer: "kind = 'lion'",
                rates: Some([1e-4, 1e-5]),
                max_grad_norm: 1.0,
                steps: 20,
                finals: true,
            },
        );
    }
}

#[test]
fn adamw_in_eight_bits() {
    for base in ["tiny-sd15", "tiny-sdxl"] {
        follow(
            base,
            &Case {
                name: "adamw8bit_min256_ref",
                optimizer: "kind = 'adamw8bit'\nmin_8bit_size = 256",
                rates: None,
                max_grad_norm: 1.0,
                steps: 20,
                finals: true,
            },
        );
    }
}

/// The estimate agrees to the end; the losses until rounding has grown to something, as between PyTorch in f32 and f64.
#[test]
fn d_adapted_adam() {
    for (base, steps) in [("tiny-sd15", 14), ("tiny-sdxl", 17)] {
        let estimates = follow(
            base,
            &Case {
                name: "dadaptadam",
                optimizer: "kind = 'dadapt-adam'",
                rates: Some([1.0, 1.0]),
                max_grad_norm: 0.3,
                steps,
                finals: false,
            },
        );
        let reference = Golden::open(&format!("train/{base}-dadaptadam.safetensors"));
        let expected = reference.doubles("d");
        assert_eq!((estimates.len(), expected.len()), (20, 20));
        for (step, (found, expected)) in estimates.iter().zip(&expected).enumerate() {
            assert_near(*found, *expected, D_LIMIT, &format!("{base} d {step}"));
        }
    }
}

/// Follows a run, and gives the estimates after each step.
fn follow(base: &str, case: &Case) -> Vec<f64> {
    let profile = Profile::read().train;
    let inputs = Golden::open(&format!("train/{base}-inputs.safetensors"));
    let reference = Golden::open(&format!("train/{base}-{}.safetensors", case.name));
    let (losses, norms) = (reference.values("loss"), reference.values("grad_norm"));
    let config: OptimizerConfig = toml::from_str(case.optimizer).expect("a config");
    let estimates = Arc::new(Mutex::new(Vec::new()));
    let watched = Watched {
        inner: config.build().expect("in range"),
        estimates: estimates.clone(),
    };
    let mut learner = learner_with(base, &profile, case.max_grad_norm, Box::new(watched));
    let start = learner.params().clone();
    let objective = Denoising::new(&ObjectiveConfig::default(), learner.model(), 1);
    let [unet, text] = case.rates.unwrap_or([profile.unet_lr, profile.text_lr]);
    let rates = Rates::new(unet).with_prefix("lora_te", text);
    assert_eq!(losses.len(), 20);
    for step in 0..losses.len() {
        let batch = batch(&profile, &learner, &inputs, step);
        let loss = learner.accumulate(&objective, &batch, 1.0);
        let norm = learner.step(&rates).expect("a step").expect("clipped");
        if step < case.steps {
            let what = format!("{base} {} step {step}", case.name);
            assert_near(
                number(loss.mean()),
                losses[step].into(),
                LOSS_LIMIT,
                &format!("{what} loss"),
            );
            assert_near(
                number(norm),
                norms[step].into(),
                NORM_LIMIT,
                &format!("{what} norm"),
            );
        }
    }
    if case.finals {
        let off = way_off(learner.params(), &start, &reference);
        assert!(off < FINAL_LIMIT, "{base} {}: {off:e} off", case.name);
    }
    let estimates = estimates.lock().unwrap_or_else(PoisonError::into_inner);
    estimates.clone()
}

/// How far the weights that the reference kept are from it, over how far training moved them.
fn way_off(params: &Matrices, start: &Matrices, reference: &Golden) -> f64 {
    let (mut differences, mut ways) = (0.0, 0.0);
    let square = |matrix: Tensor<2>| f64::from(matrix.square().sum().into_scalar::<f32>());
    for name in reference.names() {
        let Some(key) = name.strip_prefix("final.") else {
            continue;
        };
        let expected = reference.matrix(&name);
        differences += square(params[key].clone() - expected.clone());
        ways += square(expected - start[key].clone());
    }
    assert!(ways > 0.0);
    (differences / ways).sqrt()
}

fn number(tensor: Tensor<1>) -> f64 {
    tensor.into_scalar::<f32>().into()
}

#[track_caller]
fn assert_near(found: f64, expected: f64, limit: f64, what: &str) {
    let deviation = ((found - expected) / expected).abs();
    assert!(
        deviation < limit,
        "{what} is {found}, the reference {expected}: {deviation:e} off"
    );
}
