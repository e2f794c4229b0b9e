//! The six schedules of diffusers (`diffusers.optimization.get_scheduler`), as formulas.

use std::f64::consts::PI;

use crate::Schedule;

/// A linear rise from 0 over `warmup` steps, then a [`Decay`] until step `total`: a schedule with all numbers resolved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Curve {
    /// What follows the warm-up.
    pub decay: Decay,
    /// Steps of the rise: step 0 runs at factor 0, step `warmup` at factor 1. With 0 there is no rise.
    pub warmup: u64,
    /// Steps of the whole run, warm-up included.
    pub total: u64,
}

/// How the factor goes from 1, after the warm-up, to the end of the run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Decay {
    /// Stays at 1.
    Constant,
    /// Falls in a straight line to 0.
    Linear,
    /// Falls over half a cosine wave to 0.
    Cosine,
    /// Falls over half a cosine wave to 0, `cycles` times, jumping back to 1 in between.
    CosineWithRestarts {
        /// How many falls.
        cycles: u32,
    },
    /// Falls as a power of what remains of the run.
    Polynomial {
        /// The exponent; 1 is a straight line.
        power: f64,
        /// The factor at and after the last step.
        end_factor: f64,
    },
}

impl Schedule for Curve {
    fn at(&self, step: u64) -> f64 {
        if step < self.warmup {
            return step as f64 / self.warmup as f64;
        }
        let decaying = self.total.saturating_sub(self.warmup).max(1) as f64;
        self.decay.at((step - self.warmup) as f64 / decaying)
    }
}

impl Decay {
    /// The factor at `progress`, which is 0 right after the warm-up and 1 at the end of the run.
    fn at(self, progress: f64) -> f64 {
        let remaining = (1.0 - progress).max(0.0);
        match self {
            Self::Constant => 1.0,
            Self::Linear => remaining,
            // Only this one is not bounded by the end of the run: diffusers lets the wave rise again.
            Self::Cosine => half_wave(progress),
            Self::CosineWithRestarts { .. } if remaining == 0.0 => 0.0,
            Self::CosineWithRestarts { cycles } => {
                half_wave((f64::from(cycles) * progress).fract())
            }
            Self::Polynomial { power, end_factor } => {
                (1.0 - end_factor) * remaining.powf(power) + end_factor
            }
        }
    }
}

/// From 1 at `phase` 0 to 0 at `phase` 1.
fn half_wave(phase: f64) -> f64 {
    0.5 * (1.0 + (PI * phase).cos())
}

// All these factors are exact in binary or pass through unchanged.
#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    const DECAYS: [Decay; 5] = [
        Decay::Constant,
        Decay::Linear,
        Decay::Cosine,
        Decay::CosineWithRestarts { cycles: 2 },
        Decay::Polynomial {
            power: 2.0,
            end_factor: 0.1,
        },
    ];

    #[test]
    fn a_run_that_is_all_warmup_never_divides_by_zero() {
        for decay in DECAYS {
            let curve = Curve {
                decay,
                warmup: 4,
                total: 4,
            };
            assert_eq!(
                [0, 2, 4].map(|step| curve.at(step)),
                [0.0, 0.5, 1.0],
                "{decay:?}"
            );
            assert!(curve.at(5).is_finite(), "{decay:?}");
        }
    }

    #[test]
    fn beyond_the_end_the_factor_stays_where_diffusers_leaves_it() {
        let after = |decay| {
            Curve {
                decay,
                warmup: 0,
                total: 10,
            }
            .at(20)
        };
        assert_eq!(DECAYS.map(after), [1.0, 0.0, 1.0, 0.0, 0.1]);
    }
}
