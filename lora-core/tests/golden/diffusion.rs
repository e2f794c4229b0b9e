//! The noise schedule against diffusers.

use burn::tensor::Tensor;
use lora_core::diffusion::{NoiseSchedule, PredictionType, SchedulerConfig};

use crate::golden::{Golden, assert_close};

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

/// 1 − ᾱ(t) / ᾱ(t − 1), which nothing but this test asks for.
fn betas(schedule: &NoiseSchedule) -> Vec<f64> {
    let alphas = schedule.alphas_cumprod();
    let before = [1.0].iter().chain(alphas);
    before
        .zip(alphas)
        .map(|(before, alpha)| 1.0 - alpha / before)
        .collect()
}

#[test]
fn betas_equal_diffusers() {
    let golden = Golden::open("schedules/noise.safetensors");
    for (name, rescale_betas_zero_snr) in [("betas", false), ("zero_snr.betas", true)] {
        let schedule = NoiseSchedule::new(&SchedulerConfig {
            rescale_betas_zero_snr,
            ..SchedulerConfig::default()
        });
        let expected = golden.values(name);
        assert_eq!(expected.len(), 1000);
        for (timestep, (found, expected)) in betas(&schedule).iter().zip(expected).enumerate() {
            // The reference's rescaled betas are quotients of f32 ᾱ, small ones near the end: their absolute error grows
            // with 1 / √ᾱ.
            let alpha = schedule.alphas_cumprod()[timestep].max(1e-9);
            let limit = if rescale_betas_zero_snr {
                1e-6 / alpha.sqrt()
            } else {
                1e-8
            };
            let difference = (found - f64::from(expected)).abs();
            assert!(
                difference < limit.max(1e-8),
                "{name} {timestep}: {found} {expected}"
            );
        }
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
fn zero_terminal_snr_equals_the_reference() {
    let golden = Golden::open("schedules/noise.safetensors");
    let schedule = NoiseSchedule::new(&SchedulerConfig {
        rescale_betas_zero_snr: true,
        ..SchedulerConfig::default()
    });
    let expected = golden.values("zero_snr.alphas_cumprod");
    for (found, expected) in schedule.alphas_cumprod().iter().zip(&expected) {
        // The reference subtracts f32 roots near 0.07, so small values have an absolute error.
        assert!(
            (*found as f32 - expected).abs() < 1e-6,
            "{found} {expected}"
        );
    }
    assert!(schedule.alphas_cumprod().last() == Some(&0.0));
}
