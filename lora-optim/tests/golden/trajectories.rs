//! Fifty steps on stored gradients, against the optimisers that people know.

use std::fs;

use half::f16;
use lora_optim::{
    Adamw8bitConfig, AdamwConfig, DadaptAdamConfig, Lion8bitConfig, LionConfig, Matrices,
    OptimizerConfig, Rates, SgdConfig,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{golden, matrix, values};

const STEPS: usize = 50;

/// Rounding alone parts an f32 and an f64 run of PyTorch's AdamW by 5.4e-7, on values of about 0.1; these are two f32 runs.
const ROUNDING: f32 = 1e-6;

#[test]
fn adamw_equals_pytorch() {
    let optimizer = OptimizerConfig::Adamw(AdamwConfig::default());
    compare("adamw", &optimizer, ROUNDING, |_| 1e-3);
}

#[test]
fn adamw_with_other_settings_equals_pytorch() {
    let optimizer = OptimizerConfig::Adamw(AdamwConfig {
        betas: [0.8, 0.95],
        eps: 1e-6,
        weight_decay: 0.1,
    });
    compare("adamw_betas", &optimizer, ROUNDING, |_| 2e-3);
}

#[test]
fn adamw_under_a_schedule_equals_pytorch() {
    let optimizer = OptimizerConfig::Adamw(AdamwConfig::default());
    compare("adamw_linear_lr", &optimizer, ROUNDING, |step| {
        1e-3 * (1.0 - step as f64 / STEPS as f64)
    });
}

/// A code that rounding tips to its neighbour would part the two by 6e-4, so this also says that no code differs.
#[test]
fn adamw8bit_equals_nearest_codes_with_the_sign_rule_of_cuda() {
    let optimizer = OptimizerConfig::Adamw8bit(Adamw8bitConfig::default());
    compare("adamw8bit_ref", &optimizer, ROUNDING, |_| 1e-3);
    let optimizer = OptimizerConfig::Adamw8bit(Adamw8bitConfig {
        min_8bit_size: 16,
        ..Adamw8bitConfig::default()
    });
    compare("adamw8bit_min16_ref", &optimizer, ROUNDING, |_| 1e-3);
}

/// An element moves by the rate, 1e-4, so that one wrong sign would show; rounding stays a thousand times below.
#[test]
fn lion_equals_lion_pytorch() {
    let optimizer = OptimizerConfig::Lion(LionConfig {
        weight_decay: 0.01,
        ..LionConfig::default()
    });
    compare("lion", &optimizer, 1e-7, |_| 1e-4);
}

#[test]
fn nesterov_sgd_equals_pytorch() {
    let optimizer = OptimizerConfig::Sgd(SgdConfig::default());
    compare("sgd_nesterov", &optimizer, 1e-7, |_| 1e-2);
}

#[test]
fn dadapt_adam_equals_dadaptation() {
    let optimizer = OptimizerConfig::DadaptAdam(DadaptAdamConfig::default());
    compare("dadaptadam", &optimizer, ROUNDING, |_| 1.0);
    let optimizer = OptimizerConfig::DadaptAdam(DadaptAdamConfig {
        decouple: true,
        weight_decay: 0.01,
        use_bias_correction: true,
        d0: 1e-4,
        ..DadaptAdamConfig::default()
    });
    compare("dadaptadam_decouple_bias", &optimizer, ROUNDING, |_| 0.5);
}

/// Takes the stored steps and compares every stored snapshot of `case`.
fn compare(
    case: &str,
    config: &OptimizerConfig,
    tolerance: f32,
    rate_at: impl Fn(usize) -> f64,
) {
    let differences = differences(case, config, rate_at);
    assert!(
        differences.len() >= 25,
        "only {} snapshots of {case}",
        differences.len()
    );
    for (snapshot, difference) in differences {
        let worst = difference.into_iter().fold(0.0, f32::max);
        assert!(worst <= tolerance, "{case}, {snapshot}: {worst:e}");
    }
}

/// By how much each element of each stored snapshot of `case` differs.
fn differences(
    case: &str,
    config: &OptimizerConfig,
    rate_at: impl Fn(usize) -> f64,
) -> Vec<(String, Vec<f32>)> {
    let bytes = fs::read(golden("optim/problem.safetensors")).unwrap();
    let problem = SafeTensors::deserialize(&bytes).unwrap();
    let bytes = fs::read(golden("optim/trajectories.safetensors")).unwrap();
    let trajectories = SafeTensors::deserialize(&bytes).unwrap();

    let mut optimizer = config.build().unwrap();
    let mut params = by_key(&problem, "param0.", 1, 0);
    let mut differences = Vec::new();
    for step in 0..STEPS {
        let grads = by_key(&problem, "grads.", STEPS, step);
        optimizer
            .step(&mut params, grads, &Rates::new(rate_at(step)))
            .unwrap();
        for (key, param) in &params {
            let snapshot = format!("step{}.{key}", step + 1);
            let Ok(expected) = trajectories.tensor(&format!("{case}.{snapshot}")) else {
                continue;
            };
            let pairs = values(param).into_iter().zip(floats(&expected));
            let difference = pairs.map(|(ours, theirs)| (ours - theirs).abs());
            differences.push((snapshot, difference.collect()));
        }
    }
    let prefix = format!("{case}.step");
    let stored = trajectories.names().into_iter();
    let stored = stored.filter(|name| name.starts_with(&prefix)).count();
    assert_eq!(differences.len(), stored, "snapshots of {case}");
    differences
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
