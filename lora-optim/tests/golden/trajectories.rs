//! Fifty steps on stored gradients, against the optimisers that people know.

use std::{collections::BTreeMap, fs};

use half::f16;
use lora_optim::{
    AdafactorConfig, Adamw8bitConfig, AdamwConfig, AdamwScheduleFreeConfig, DadaptAdamConfig,
    DadaptLionConfig, DadaptSgdConfig, Lion8bitConfig, LionConfig, Matrices, OptimizerConfig,
    ProdigyConfig, Rates, SgdConfig,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{golden, matrix, values};

const STEPS: usize = 50;

/// Rounding alone parts an f32 and an f64 run of PyTorch's AdamW by 5.4e-7, on values of about 0.1; these are two f32 runs.
/// Of the values of this problem, which stay below 1, the last bit is worth 6e-8.
const ROUNDING: f32 = 5e-7;

/// A few last bits of values of up to 2, each worth 2.4e-7.
const FAR: f32 = 1e-6;

/// Where one rounding does not feed the next, two last bits.
const LAST_BITS: f32 = 1.2e-7;

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
    compare("adamw8bit_ref", &optimizer, LAST_BITS, |_| 1e-3);
    let optimizer = OptimizerConfig::Adamw8bit(Adamw8bitConfig {
        min_8bit_size: 16,
        ..Adamw8bitConfig::default()
    });
    compare("adamw8bit_min16_ref", &optimizer, LAST_BITS, |_| 1e-3);
}

/// An element moves by the rate, 1e-4, so that one wrong sign would show.
#[test]
fn lion_equals_lion_pytorch() {
    let optimizer = OptimizerConfig::Lion(LionConfig {
        weight_decay: 0.01,
        ..LionConfig::default()
    });
    compare("lion", &optimizer, LAST_BITS, |_| 1e-4);
}

#[test]
fn lion8bit_equals_nearest_codes_with_the_sign_rule_of_cuda() {
    let optimizer = OptimizerConfig::Lion8bit(Lion8bitConfig {
        weight_decay: 0.01,
        ..Lion8bitConfig::default()
    });
    compare("lion8bit_ref", &optimizer, LAST_BITS, |_| 1e-4);
}

/// bitsandbytes' code for CPUs takes other codes for small momenta, which turns a sign here and there.
#[test]
fn lion8bit_nearly_equals_bitsandbytes_on_the_cpu() {
    let optimizer = OptimizerConfig::Lion8bit(Lion8bitConfig {
        weight_decay: 0.01,
        ..Lion8bitConfig::default()
    });
    for (snapshot, differences) in differences("lion8bit", &optimizer, |_| 1e-4) {
        assert!(differences.iter().all(|apart| apart.is_finite()));
        let turned = differences.iter().filter(|apart| **apart > LAST_BITS);
        let allowed = if snapshot.ends_with("e_4099") { 41 } else { 0 };
        assert!(turned.count() <= allowed, "{snapshot}");
    }
}

#[test]
fn nesterov_sgd_equals_pytorch() {
    let optimizer = OptimizerConfig::Sgd(SgdConfig::default());
    compare("sgd_nesterov", &optimizer, LAST_BITS, |_| 1e-2);
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
    compare("dadaptadam_decouple_bias", &optimizer, LAST_BITS, |_| 0.5);
    let optimizer = OptimizerConfig::DadaptAdam(DadaptAdamConfig {
        weight_decay: 0.1,
        growth_rate: Some(1.05),
        d0: 1e-4,
        ..DadaptAdamConfig::default()
    });
    compare("dadaptadam_growth", &optimizer, ROUNDING, |_| 1.0);
}

#[test]
fn dadapt_lion_equals_dadaptation() {
    let optimizer = OptimizerConfig::DadaptLion(DadaptLionConfig::default());
    compare("dadaptlion", &optimizer, LAST_BITS, |_| 1.0);
    // So far that the momentum, which the estimate scales, has a say in the signs.
    let optimizer = OptimizerConfig::DadaptLion(DadaptLionConfig {
        weight_decay: 0.01,
        d0: 1e-1,
        ..DadaptLionConfig::default()
    });
    compare("dadaptlion_far", &optimizer, FAR, |_| 0.5);
}

#[test]
fn dadapt_sgd_equals_dadaptation() {
    let optimizer = OptimizerConfig::DadaptSgd(DadaptSgdConfig {
        d0: 1e-2,
        ..DadaptSgdConfig::default()
    });
    compare("dadaptsgd", &optimizer, ROUNDING, |_| 1.0);
    let optimizer = OptimizerConfig::DadaptSgd(DadaptSgdConfig {
        momentum: 0.9,
        weight_decay: 0.01,
        d0: 1e-2,
        growth_rate: Some(1.02),
    });
    compare("dadaptsgd_momentum", &optimizer, ROUNDING, |_| 0.5);
}

#[test]
fn prodigy_equals_prodigyopt() {
    let optimizer = OptimizerConfig::Prodigy(ProdigyConfig::default());
    compare("prodigy", &optimizer, ROUNDING, |_| 1.0);
    let optimizer = OptimizerConfig::Prodigy(ProdigyConfig {
        weight_decay: 0.01,
        use_bias_correction: true,
        safeguard_warmup: true,
        d_coef: 2.0,
        d0: 1e-4,
        ..ProdigyConfig::default()
    });
    compare("prodigy_full", &optimizer, LAST_BITS, |_| 1.0);
    let optimizer = OptimizerConfig::Prodigy(ProdigyConfig {
        beta3: Some(0.9),
        weight_decay: 0.1,
        decouple: false,
        d0: 1e-4,
        growth_rate: Some(1.02),
        ..ProdigyConfig::default()
    });
    compare("prodigy_coupled", &optimizer, ROUNDING, |_| 1.0);
}

#[test]
fn adafactor_equals_transformers() {
    let optimizer = OptimizerConfig::Adafactor(AdafactorConfig::default());
    compare("adafactor_fixed", &optimizer, LAST_BITS, |_| 1e-3);
    let optimizer = OptimizerConfig::Adafactor(AdafactorConfig {
        scale_parameter: true,
        relative_step: true,
        warmup_init: true,
        ..AdafactorConfig::default()
    });
    compare("adafactor_relative", &optimizer, LAST_BITS, |_| 1.0);
}

#[test]
fn adamw_schedule_free_and_its_average_equal_schedulefree() {
    let optimizer = OptimizerConfig::AdamwScheduleFree(AdamwScheduleFreeConfig::default());
    compare("schedulefree", &optimizer, ROUNDING, |_| 2.5e-3);
    let optimizer = OptimizerConfig::AdamwScheduleFree(AdamwScheduleFreeConfig {
        betas: [0.95, 0.99],
        eps: 1e-6,
        weight_decay: 0.1,
        r: 1.0,
        weight_lr_power: 1.5,
    });
    compare("schedulefree_warmup", &optimizer, ROUNDING, |step| {
        let step = step as f64;
        2e-3 * (step / 5.0).min(1.0) * (1.0 - step / 100.0)
    });
}

/// Takes the stored steps and compares every stored snapshot of `case`.
fn compare(case: &str, config: &OptimizerConfig, tolerance: f32, rate_at: impl Fn(usize) -> f64) {
    let differences = differences(case, config, rate_at);
    assert!(
        differences.len() >= 13,
        "only {} snapshots of {case}",
        differences.len()
    );
    for (snapshot, differences) in differences {
        let worst = differences.iter().copied().fold(0.0, f32::max);
        // What is no number is not within the tolerance either.
        assert!(
            differences.iter().all(|apart| *apart <= tolerance),
            "{case}, {snapshot}: {worst:e}"
        );
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
    let bytes = [
        golden("optim/trajectories.safetensors"),
        golden("../optim/trajectories.safetensors"),
    ]
    .map(|path| fs::read(path).unwrap());
    let expected = bytes
        .each_ref()
        .map(|bytes| SafeTensors::deserialize(bytes).unwrap());
    let prefix = format!("{case}.");
    let mut expected: BTreeMap<String, Vec<f32>> = expected
        .iter()
        .flat_map(SafeTensors::iter)
        .filter_map(|(name, view)| Some((name.strip_prefix(&prefix)?.to_owned(), floats(&view))))
        .filter(|(name, _)| !skipped(case, name))
        .collect();

    let mut optimizer = config.build().unwrap();
    let mut params = by_key(&problem, "param0.", 1, 0);
    let mut differences = Vec::new();
    for step in 0..STEPS {
        let grads = by_key(&problem, "grads.", STEPS, step);
        optimizer
            .step(&mut params, grads, &Rates::new(rate_at(step)))
            .unwrap();
        let averages = optimizer.averaged(&params).unwrap_or_default();
        for (kind, matrices) in [("step", &params), ("average", &averages)] {
            for (key, matrix) in matrices {
                let snapshot = format!("{kind}{}.{key}", step + 1);
                let Some(theirs) = expected.remove(&snapshot) else {
                    continue;
                };
                let pairs = values(matrix).into_iter().zip(theirs);
                let difference = pairs.map(|(ours, theirs)| (ours - theirs).abs());
                differences.push((snapshot, difference.collect()));
            }
        }
    }
    expected.retain(|name, _| !name.starts_with("state_"));
    assert!(expected.is_empty(), "{case}: {:?}", expected.keys());
    differences
}

/// transformers' Adafactor sees the kernels of a convolution one by one, ours a matrix.
fn skipped(case: &str, name: &str) -> bool {
    case.starts_with("adafactor") && name.ends_with("b_conv_4x8x3x3")
}

/// Part `index` of `parts` of each tensor under `prefix`, as a matrix. Most rules are elementwise, so any shape will do;
/// Adafactor, which is not, takes a vector as a row.
fn by_key(file: &SafeTensors<'_>, prefix: &str, parts: usize, index: usize) -> Matrices {
    let of = |(name, view): (&str, TensorView<'_>)| {
        let key = name.strip_prefix(prefix)?.to_owned();
        let values = floats(&view);
        let length = values.len() / parts;
        let rows = if key == "a_linear_12x40" { 12 } else { 1 };
        let part = values[index * length..][..length].to_vec();
        Some((key, matrix(part, [rows, length / rows])))
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
