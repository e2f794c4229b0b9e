//! Noise schedule and samplers against diffusers.

use burn::tensor::Tensor;
use lora_core::diffusion::{NoiseSchedule, PredictionType, Sampler, SamplerKind, SchedulerConfig};

use crate::golden::{Golden, assert_close, deviation};

/// The references multiply a thousand f32 factors; ours are f64.
const SCHEDULE_LIMIT: f32 = 1e-5;

#[test]
fn schedule_equals_diffusers() {
    let golden = Golden::open("schedules/noise.safetensors");
    let schedule = NoiseSchedule::new(&SchedulerConfig::default());
    let alphas: Vec<f32> = schedule
        .alphas_cumprod()
        .iter()
        .map(|&alpha| alpha as f32)
        .collect();
    for (found, expected) in alphas.iter().zip(golden.values("alphas_cumprod")) {
        assert!(
            ((found - expected) / expected).abs() < SCHEDULE_LIMIT,
            "{found} {expected}"
        );
    }
    for (timestep, expected) in golden.values("snr").into_iter().enumerate() {
        let found = schedule.snr(timestep) as f32;
        // Near ᾱ = 1 the references lose digits in 1 − ᾱ, which they take in f32.
        assert!(
            ((found - expected) / expected).abs() < 1e-4,
            "{timestep}: {found} {expected}"
        );
    }
}

#[test]
fn noise_and_velocity_equal_diffusers() {
    let golden = Golden::open("schedules/noise.safetensors");
    let timesteps: Vec<usize> = golden
        .integers("timesteps")
        .into_iter()
        .map(|timestep| timestep as usize)
        .collect();
    let schedule = NoiseSchedule::new(&SchedulerConfig::default());
    let (latents, noise): (Tensor<4>, Tensor<4>) =
        (golden.tensor("latents"), golden.tensor("noise"));
    let noisy = schedule.add_noise(latents.clone(), noise.clone(), &timesteps);
    assert_close(noisy, &golden, "noisy", SCHEDULE_LIMIT);
    let velocity = schedule.velocity(latents.clone(), noise.clone(), &timesteps);
    assert_close(velocity, &golden, "velocity", SCHEDULE_LIMIT);

    let target = schedule.target(latents.clone(), noise.clone(), &timesteps);
    assert_close(target, &golden, "noise", 0.0);
    let config = SchedulerConfig {
        prediction_type: PredictionType::VPrediction,
        ..SchedulerConfig::default()
    };
    let target = NoiseSchedule::new(&config).target(latents, noise, &timesteps);
    assert_close(target, &golden, "velocity", SCHEDULE_LIMIT);
}

#[test]
fn samplers_walk_as_diffusers_do() {
    let cases = [
        ("ddim_10", SamplerKind::Ddim, 10, PredictionType::Epsilon),
        (
            "ddim_20_v",
            SamplerKind::Ddim,
            20,
            PredictionType::VPrediction,
        ),
        (
            "euler_a_10",
            SamplerKind::EulerA,
            10,
            PredictionType::Epsilon,
        ),
        (
            "euler_a_20_v",
            SamplerKind::EulerA,
            20,
            PredictionType::VPrediction,
        ),
    ];
    let golden = Golden::open("schedules/samplers.safetensors");
    for (name, kind, steps, prediction_type) in cases {
        let config = SchedulerConfig {
            prediction_type,
            ..SchedulerConfig::default()
        };
        let sampler = kind.build(&config, steps);
        assert_eq!(
            sampler.timesteps(),
            golden.values(&format!("{name}.timesteps")),
            "{name}"
        );
        walk(sampler.as_ref(), &golden, name);
    }
}

/// Follows the reference's sequence: the "network" answers `0.3·x + b`.
fn walk(sampler: &dyn Sampler, golden: &Golden, name: &str) {
    let start: Tensor<4> = golden.tensor("start_noise");
    let bias: Tensor<4> = golden.tensor("b");
    let sequence = golden.values(&format!("{name}.latents"));
    let size = start.shape().num_elements();
    let noises: Option<Tensor<4>> = golden
        .names()
        .contains(&format!("{name}.noises"))
        .then(|| golden.tensor(&format!("{name}.noises")));
    let mut latents = start * sampler.initial_scale();
    for index in 0..sampler.timesteps().len() {
        let input = sampler.scale_input(index, latents.clone());
        let noise = match &noises {
            Some(noises) if sampler.needs_noise(index) => Some(noises.clone().narrow(0, index, 1)),
            _ => None,
        };
        latents = sampler.step(index, input * 0.3 + bias.clone(), latents, noise);
        let found: Vec<f32> = latents.clone().into_data().iter::<f32>().collect();
        let expected = &sequence[(index + 1) * size..(index + 2) * size];
        let deviation = deviation(&found, expected);
        assert!(
            deviation < 2e-5,
            "{name} step {index} deviates by {deviation:e}"
        );
    }
}
