//! Fifty steps on stored gradients, against the optimisers that people know.

use std::fs;

use burn::optim::{SgdConfig, momentum::MomentumConfig};
use half::f16;
use lora_optim::{AdamwConfig, BurnOptimizer, Matrices, Optimizer, OptimizerConfig, Rates};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{golden, matrix, values};

const STEPS: usize = 50;

/// Rounding alone parts an f32 and an f64 run of PyTorch's AdamW by 5.4e-7, on values of about 0.1; these are two f32 runs.
const TOLERANCE: f32 = 1e-6;

#[test]
fn adamw_equals_pytorch() {
    let optimizer = OptimizerConfig::Adamw(AdamwConfig::default());
    compare("adamw", optimizer, |_| 1e-3);
}

#[test]
fn adamw_with_other_settings_equals_pytorch() {
    let optimizer = OptimizerConfig::Adamw(AdamwConfig {
        betas: [0.8, 0.95],
        eps: 1e-6,
        weight_decay: 0.1,
    });
    compare("adamw_betas", optimizer, |_| 2e-3);
}

#[test]
fn adamw_under_a_schedule_equals_pytorch() {
    let optimizer = OptimizerConfig::Adamw(AdamwConfig::default());
    compare("adamw_linear_lr", optimizer, |step| {
        1e-3 * (1.0 - step as f64 / STEPS as f64)
    });
}

/// No kind of ours: any optimiser of burn goes in.
#[test]
fn nesterov_sgd_of_burn_equals_pytorch() {
    let momentum = MomentumConfig {
        momentum: 0.9,
        dampening: 0.0,
        nesterov: true,
    };
    let sgd = SgdConfig::new().with_momentum(Some(momentum)).build();
    compare_built("sgd_nesterov", &mut BurnOptimizer::new(sgd), |_| 1e-2);
}

fn compare(case: &str, config: OptimizerConfig, rate_at: impl Fn(usize) -> f64) {
    compare_built(case, config.build().unwrap().as_mut(), rate_at);
}

/// Takes the stored steps and compares every stored snapshot of `case`.
fn compare_built(case: &str, optimizer: &mut dyn Optimizer, rate_at: impl Fn(usize) -> f64) {
    let bytes = fs::read(golden("optim/problem.safetensors")).unwrap();
    let problem = SafeTensors::deserialize(&bytes).unwrap();
    let bytes = fs::read(golden("optim/trajectories.safetensors")).unwrap();
    let trajectories = SafeTensors::deserialize(&bytes).unwrap();

    let mut params = by_key(&problem, "param0.", 1, 0);
    let mut compared = 0;
    for step in 0..STEPS {
        let grads = by_key(&problem, "grads.", STEPS, step);
        optimizer
            .step(&mut params, grads, &Rates::new(rate_at(step)))
            .unwrap();
        for (key, param) in &params {
            let Ok(expected) = trajectories.tensor(&format!("{case}.step{}.{key}", step + 1))
            else {
                continue;
            };
            let pairs = values(param).into_iter().zip(floats(&expected));
            let difference = pairs
                .map(|(ours, theirs)| (ours - theirs).abs())
                .fold(0.0, f32::max);
            assert!(
                difference <= TOLERANCE,
                "{case}, {key}, after step {}: {difference:e}",
                step + 1
            );
            compared += 1;
        }
    }
    let stored = trajectories
        .names()
        .into_iter()
        .filter(|name| name.starts_with(&format!("{case}.step")))
        .count();
    assert!(stored >= 25, "only {stored} snapshots of {case}");
    assert_eq!(compared, stored, "snapshots of {case}");
}

/// Part `index` of `parts` of each tensor under `prefix`, as a matrix; the rules are elementwise, so any shape will do.
fn by_key(file: &SafeTensors<'_>, prefix: &str, parts: usize, index: usize) -> Matrices {
    let of = |(name, view): (&str, TensorView<'_>)| {
        let key = name.strip_prefix(prefix)?.to_owned();
        let values = floats(&view);
        let length = values.len() / parts;
        Some((
            key,
            matrix(values[index * length..][..length].to_vec(), [1, length]),
        ))
    };
    file.iter().filter_map(of).collect()
}

fn floats(view: &TensorView<'_>) -> Vec<f32> {
    match view.dtype() {
        Dtype::F16 => view
            .data()
            .as_chunks::<2>()
            .0
            .iter()
            .map(|bytes| f16::from_le_bytes(*bytes).to_f32())
            .collect(),
        Dtype::F32 => view
            .data()
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect(),
        other => panic!("golden data in {other:?}"),
    }
}
