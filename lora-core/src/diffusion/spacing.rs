//! The timesteps of a walk, as diffusers spaces them.

use super::{SchedulerConfig, TimestepSpacing};

/// `steps` timesteps in falling order; those of `Linspace` may have a fraction.
pub(super) fn evenly_spaced(
    config: &SchedulerConfig,
    spacing: TimestepSpacing,
    steps: usize,
) -> Vec<f64> {
    let steps = steps.clamp(1, config.num_train_timesteps);
    match spacing {
        TimestepSpacing::Leading => leading(config, steps).collect(),
        TimestepSpacing::Linspace => linspace(config, steps).collect(),
        TimestepSpacing::Trailing => trailing(config, steps),
    }
}

/// `steps` whole timesteps in falling order, the lowest of `steps + 1` left out unless they trail.
pub(super) fn evenly_spaced_above_the_last(
    config: &SchedulerConfig,
    spacing: TimestepSpacing,
    steps: usize,
) -> Vec<f64> {
    // So many that no timestep comes twice: a multistep solver divides by the distance of two.
    let most = config
        .num_train_timesteps
        .saturating_sub(config.steps_offset + 1);
    let steps = steps.clamp(1, most.max(1));
    match spacing {
        TimestepSpacing::Leading => leading(config, steps + 1).take(steps).collect(),
        TimestepSpacing::Linspace => linspace(config, steps + 1)
            .take(steps)
            .map(f64::round_ties_even)
            .collect(),
        TimestepSpacing::Trailing => trailing(config, steps),
    }
}

fn leading(config: &SchedulerConfig, points: usize) -> impl Iterator<Item = f64> {
    let stride = config.num_train_timesteps / points;
    let (offset, last) = (config.steps_offset, config.num_train_timesteps - 1);
    (0..points)
        .rev()
        .map(move |index| (index * stride + offset).min(last) as f64)
}

fn linspace(config: &SchedulerConfig, points: usize) -> impl Iterator<Item = f64> {
    let last = (config.num_train_timesteps - 1) as f64;
    let gaps = (points.max(2) - 1) as f64;
    (0..points)
        .rev()
        .map(move |index| last * index as f64 / gaps)
}

fn trailing(config: &SchedulerConfig, points: usize) -> Vec<f64> {
    let all = config.num_train_timesteps as f64;
    let stride = all / points as f64;
    (0..points)
        .map(|index| (all - stride * index as f64).round_ties_even() - 1.0)
        .collect()
}
