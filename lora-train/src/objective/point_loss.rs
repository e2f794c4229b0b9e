use burn::tensor::{Tensor, TensorData};
use lora_core::diffusion::NoiseSchedule;

use crate::config::{HuberSchedule, LossType, ObjectiveConfig};

/// The error of each single number of a prediction (sd-scripts' `conditional_loss`).
#[derive(Clone, Debug)]
pub(super) struct PointLoss {
    kind: LossType,
    /// The threshold of every timestep; empty where the kind has none.
    thresholds: Vec<f32>,
}

impl PointLoss {
    pub(super) fn new(config: &ObjectiveConfig, schedule: &NoiseSchedule) -> Self {
        let thresholds = match config.loss_type {
            LossType::L2 | LossType::L1 => Vec::new(),
            LossType::Huber | LossType::SmoothL1 => (0..schedule.len())
                .map(|timestep| threshold(config, schedule, timestep) as f32)
                .collect(),
        };
        Self {
            kind: config.loss_type,
            thresholds,
        }
    }

    /// The errors of `differences` between prediction and target, `[batch, channels, height, width]`, with one timestep
    /// for each item.
    pub(super) fn errors(&self, differences: Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        match self.kind {
            LossType::L2 => differences.square(),
            LossType::L1 => differences.abs(),
            LossType::Huber => {
                let threshold = self.column(&differences, timesteps);
                beyond(differences, threshold.clone()) * threshold
            }
            LossType::SmoothL1 => {
                let threshold = self.column(&differences, timesteps);
                beyond(differences, threshold)
            }
        }
    }

    /// The thresholds of some timesteps, `[batch, 1, 1, 1]`.
    fn column(&self, beside: &Tensor<4>, timesteps: &[usize]) -> Tensor<4> {
        let values: Vec<f32> = timesteps.iter().map(|&t| self.thresholds[t]).collect();
        let shape = [timesteps.len(), 1, 1, 1];
        Tensor::from_data(TensorData::new(values, shape), &beside.device())
    }
}

/// 2 (√(d² + c²) − c).
fn beyond(differences: Tensor<4>, threshold: Tensor<4>) -> Tensor<4> {
    ((differences.square() + threshold.clone().square()).sqrt() - threshold) * 2.0
}

/// sd-scripts' `get_huber_threshold_if_needed`; see [`HuberSchedule`].
fn threshold(config: &ObjectiveConfig, schedule: &NoiseSchedule, timestep: usize) -> f64 {
    let c = config.huber_c;
    match config.huber_schedule {
        HuberSchedule::Constant => c * config.huber_scale,
        HuberSchedule::Exponential => {
            config.huber_scale * c.powf(timestep as f64 / schedule.len() as f64)
        }
        HuberSchedule::Snr => {
            // Infinite at the end of a zero-terminal-SNR schedule, which leaves c.
            let sigma = schedule.snr(timestep).sqrt().recip();
            (1.0 - c) / (1.0 + sigma).powi(2) + c
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;
    use lora_core::diffusion::SchedulerConfig;

    use super::*;
    use crate::recorded::golden;

    fn point_loss(kind: &str, schedule: &str) -> PointLoss {
        let text = format!("loss_type = '{kind}'\nhuber_schedule = '{schedule}'");
        let config = toml::from_str(&text).expect("valid");
        PointLoss::new(&config, &NoiseSchedule::new(&SchedulerConfig::default()))
    }

    #[test]
    fn thresholds_and_errors_equal_kohyas() {
        let golden = golden("schedules/noise.safetensors");
        let timesteps = [0, 1, 500, 999];
        let differences = golden.tensor::<4>("latents") - golden.tensor::<4>("noise");
        for schedule in ["constant", "exponential", "snr"] {
            for kind in ["huber", "smooth_l1"] {
                let loss = point_loss(kind, schedule);
                let found = timesteps.map(|timestep| loss.thresholds[timestep]);
                let expected = golden.values(&format!("huber_{schedule}.c"));
                for (found, expected) in found.iter().zip(&expected) {
                    // ᾱ of the reference is a product in f32, with digits lost near 1.
                    assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
                }
                let errors = loss.errors(differences.clone(), &timesteps);
                let means = errors.reshape([4, 96]).mean_dim(1).into_data();
                let expected = golden.values(&format!("{kind}_{schedule}.loss"));
                for (found, expected) in means.iter::<f32>().zip(expected) {
                    assert!((found / expected - 1.0).abs() < 1e-5, "{found} {expected}");
                }
            }
        }
    }

    #[test]
    fn a_schedule_that_ends_in_pure_noise_has_a_threshold_there() {
        let schedule = NoiseSchedule::new(&SchedulerConfig {
            rescale_betas_zero_snr: true,
            ..SchedulerConfig::default()
        });
        let config = ObjectiveConfig::default();
        assert!((threshold(&config, &schedule, 999) - config.huber_c).abs() < f64::EPSILON);
    }

    /// Of the error by the difference, at a threshold.
    type Derivative = fn(f32, f32) -> f32;

    #[test]
    fn gradients_are_those_of_the_formulas() {
        let device = Device::flex().autodiff();
        let values = [-2.0f32, -0.1, 0.05, 3.0];
        let gradient = |kind: &str| -> Vec<f32> {
            let data = TensorData::new(values.to_vec(), [1, 1, 2, 2]);
            let differences = Tensor::<4>::from_data(data, &device).require_grad();
            let loss = point_loss(kind, "constant").errors(differences.clone(), &[7]);
            let mut gradients = loss.sum().backward();
            let gradient = differences.grad_remove(&mut gradients).expect("a gradient");
            gradient.into_data().iter::<f32>().collect()
        };
        let c = 0.1f32;
        let formulas: [(&str, Derivative); 4] = [
            ("l2", |d, _| 2.0 * d),
            ("l1", |d, _| d.signum()),
            ("huber", |d, c| 2.0 * c * d / (d * d + c * c).sqrt()),
            ("smooth_l1", |d, c| 2.0 * d / (d * d + c * c).sqrt()),
        ];
        for (kind, formula) in formulas {
            for (found, d) in gradient(kind).into_iter().zip(values) {
                let expected = formula(d, c);
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{kind} at {d}: {found} {expected}"
                );
            }
        }
    }
}
