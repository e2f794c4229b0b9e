//! How much each timestep counts.

use lora_core::diffusion::{NoiseSchedule, PredictionType};

use crate::config::ObjectiveConfig;

/// kohya's scripts take no signal-to-noise ratio for larger than this where they divide by it or by its root.
const LARGEST_SNR: f64 = 1000.0;

/// The settings of `config` that each decide by themselves how much a timestep counts.
pub(super) fn rules(config: &ObjectiveConfig) -> Vec<&'static str> {
    [
        ("min_snr_gamma", config.min_snr_gamma.is_some()),
        ("soft_min_snr_gamma", config.soft_min_snr_gamma.is_some()),
        ("debiased_estimation", config.debiased_estimation),
        ("p2_gamma", config.p2_gamma.is_some()),
        ("weight_table", config.weight_table.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, set)| set.then_some(name))
    .collect()
}

/// The weight of every timestep of a schedule; infinite where a rule divides by a signal-to-noise ratio of 0.
pub(super) fn table(config: &ObjectiveConfig, schedule: &NoiseSchedule) -> Vec<f64> {
    let is_velocity = schedule.prediction_type() == PredictionType::VPrediction;
    (0..schedule.len())
        .map(|timestep| {
            let snr = schedule.snr(timestep);
            rule(config, timestep, snr, is_velocity) * kohyas_factors(config, snr)
        })
        .collect()
}

/// The weight by the one rule that is set.
///
/// A weight w of the noise's error is w · SNR / (SNR + 1) of the velocity's, for ‖ε̂ − ε‖² = SNR / (SNR + 1) · ‖v̂ − v‖².
/// All rules but kohya's form of the debiased one and the user's table go by that.
fn rule(config: &ObjectiveConfig, timestep: usize, snr: f64, is_velocity: bool) -> f64 {
    let of_noise = if let Some(gamma) = config.min_snr_gamma {
        return if is_velocity {
            snr.min(gamma) / (snr + 1.0)
        } else if snr > gamma {
            gamma / snr
        } else {
            // Also where both are 0, at the end of a zero-terminal-SNR schedule.
            1.0
        };
    } else if let Some(gamma) = config.soft_min_snr_gamma {
        gamma / (snr + gamma)
    } else if let Some(gamma) = config.p2_gamma {
        (config.p2_k + snr).powf(-gamma)
    } else if config.debiased_estimation {
        let snr = snr.min(LARGEST_SNR);
        return if is_velocity {
            1.0 / (snr + 1.0)
        } else {
            snr.sqrt().recip()
        };
    } else {
        let table = config.weight_table.as_ref();
        return table.map_or(1.0, |table| table.at(timestep, snr));
    };
    if is_velocity {
        of_noise * snr / (snr + 1.0)
    } else {
        of_noise
    }
}

/// kohya's `scale_v_pred_loss_like_noise_pred` and `v_pred_like_loss`, which go with any rule.
fn kohyas_factors(config: &ObjectiveConfig, snr: f64) -> f64 {
    let snr = snr.min(LARGEST_SNR);
    let scale = snr / (snr + 1.0);
    let scaled = if config.scale_v_pred_loss_like_noise_pred {
        scale
    } else {
        1.0
    };
    match config.v_pred_like_loss {
        Some(part) => scaled * (1.0 + part / scale),
        None => scaled,
    }
}

#[cfg(test)]
mod tests {
    use lora_core::diffusion::SchedulerConfig;

    use super::*;
    use crate::recorded::{Recorded, golden};

    fn schedule(is_velocity: bool) -> NoiseSchedule {
        NoiseSchedule::new(&SchedulerConfig {
            prediction_type: PredictionType::of_velocity(is_velocity),
            ..SchedulerConfig::default()
        })
    }

    #[track_caller]
    fn assert_equal(found: &[f64], expected: &[f64], limit: f64) {
        assert_eq!(found.len(), expected.len());
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            let deviation = ((found - expected) / expected).abs();
            assert!(deviation <= limit, "{place}: {found} {expected}");
        }
    }

    /// sd-scripts' functions over all 1,000 timesteps. Their SNR is computed in f32 and loses digits near ᾱ = 1: up to
    /// 1e-4 of it, as in the test of the schedule.
    #[test]
    fn weights_equal_kohyas() {
        let golden = golden("schedules/noise.safetensors");
        let cases = [
            ("min_snr_eps_gamma1", false, "min_snr_gamma = 1"),
            ("min_snr_eps_gamma5", false, "min_snr_gamma = 5"),
            ("min_snr_eps_gamma20", false, "min_snr_gamma = 20"),
            ("min_snr_v_gamma1", true, "min_snr_gamma = 1"),
            ("min_snr_v_gamma5", true, "min_snr_gamma = 5"),
            ("min_snr_v_gamma20", true, "min_snr_gamma = 20"),
            ("debiased_eps", false, "debiased_estimation = true"),
            ("debiased_v", true, "debiased_estimation = true"),
            (
                "scale_v_like_noise",
                true,
                "scale_v_pred_loss_like_noise_pred = true",
            ),
            ("v_pred_like_loss_0.5", false, "v_pred_like_loss = 0.5"),
        ];
        for (name, is_velocity, settings) in cases {
            let config = toml::from_str(settings).expect("valid");
            let expected: Vec<f64> = golden.values(name).into_iter().map(f64::from).collect();
            assert_equal(&table(&config, &schedule(is_velocity)), &expected, 1e-4);
        }
    }

    /// Formulas of the papers in f64, by PyTorch and numpy.
    #[test]
    fn weights_that_kohya_lacks_equal_their_formulas() {
        let recorded = Recorded::read();
        assert_eq!(recorded.weights.len(), 10);
        for case in recorded.weights {
            let all = table(&case.settings, &schedule(case.velocity));
            let rows = recorded.weight_rows.iter();
            let found: Vec<f64> = rows.map(|&timestep| all[timestep]).collect();
            // The products of 1,000 factors are taken in another order.
            assert_equal(&found, &case.weights, 1e-11);
        }
    }

    #[test]
    fn factors_go_with_rules() {
        let config = |text: &str| -> ObjectiveConfig { toml::from_str(text).expect("valid") };
        let snr = 4.0;
        let weight = |text: &str, is_velocity| {
            let config = config(text);
            rule(&config, 0, snr, is_velocity) * kohyas_factors(&config, snr)
        };
        let both = weight(
            "min_snr_gamma = 2\nscale_v_pred_loss_like_noise_pred = true",
            true,
        );
        assert!((both - 0.4 * 0.8).abs() < 1e-15);
        let both = weight("min_snr_gamma = 2\nv_pred_like_loss = 1", false);
        assert!((both - 0.5 * 2.25).abs() < 1e-15);
    }
}
