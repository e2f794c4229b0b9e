//! Schedules as formulas: the six of diffusers (`diffusers.optimization.get_scheduler`), and those of transformers, PyTorch
//! and REX that people know.

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
    /// What the factor falls to instead of 0, as transformers' `cosine_with_min_lr` does it: the whole fall is scaled. No
    /// effect on `Constant` and `Polynomial`.
    pub min_factor: f64,
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
    /// Falls over half a cosine wave to 0, `cycles` times, jumping back up in between.
    CosineWithRestarts {
        /// How many falls.
        cycles: u32,
        /// The factor that each fall begins at, in parts of the one before; 1 in diffusers.
        restart_decay: f64,
    },
    /// Falls as a power of what remains of the run.
    Polynomial {
        /// The exponent; 1 is a straight line.
        power: f64,
        /// The factor at and after the last step.
        end_factor: f64,
    },
    /// Falls slowly at first and steeply at the end, to 0 (REX; Chen, Wolfe and Kyrillidis, arXiv:2107.04197).
    Rex,
    /// Falls as the inverse square root of the steps, for runs without a known end (transformers'
    /// `get_inverse_sqrt_schedule`).
    InverseSqrt {
        /// Steps after the warm-up at which the square of the factor has halved.
        timescale: u64,
    },
    /// Rises over half a cosine wave from a 25th during the warm-up, and falls over another to a 250,000th (Smith and
    /// Topin, arXiv:1708.07120; PyTorch's `OneCycleLR`).
    OneCycle,
}

/// The factor that [`Decay::OneCycle`] begins at: PyTorch's `div_factor`.
const ONE_CYCLE_START: f64 = 1.0 / 25.0;
/// The factor that it ends at: that over PyTorch's `final_div_factor`.
const ONE_CYCLE_END: f64 = ONE_CYCLE_START / 1e4;

impl Schedule for Curve {
    fn at(&self, step: u64) -> f64 {
        if self.decay == Decay::OneCycle {
            return self.one_cycle(step);
        }
        if step < self.warmup {
            return step as f64 / self.warmup as f64;
        }
        let after = step - self.warmup;
        let decaying = self.total.saturating_sub(self.warmup).max(1) as f64;
        let [peak, part] = self.decay.at(after, after as f64 / decaying);
        match self.decay {
            Decay::Constant | Decay::Polynomial { .. } => part,
            _ => self.min_factor + (peak - self.min_factor).max(0.0) * part,
        }
    }
}

impl Curve {
    /// As in PyTorch, the rise ends one step before the warm-up does, and the fall one before the run.
    fn one_cycle(&self, step: u64) -> f64 {
        let top = self.warmup.saturating_sub(1) as f64;
        let end = (self.total.saturating_sub(1) as f64).max(top + 1.0);
        let step = (step as f64).min(end);
        if step <= top {
            let phase = if top > 0.0 { step / top } else { 1.0 };
            1.0 + (ONE_CYCLE_START - 1.0) * half_wave(phase)
        } else {
            let last = ONE_CYCLE_END.max(self.min_factor);
            last + (1.0 - last) * half_wave((step - top) / (end - top))
        }
    }
}

impl Decay {
    /// The factor that the present fall began at, and the part of it that is left; `after` so many steps after the
    /// warm-up, when `progress` is 0 right after it and 1 at the end of the run.
    fn at(self, after: u64, progress: f64) -> [f64; 2] {
        let remaining = (1.0 - progress).max(0.0);
        match self {
            Self::Constant | Self::OneCycle => [1.0, 1.0],
            Self::Linear => [1.0, remaining],
            // Only this one is not bounded by the end of the run: diffusers lets the wave rise again.
            Self::Cosine => [1.0, half_wave(progress)],
            Self::CosineWithRestarts { .. } if remaining == 0.0 => [1.0, 0.0],
            Self::CosineWithRestarts {
                cycles,
                restart_decay,
            } => {
                let falls = f64::from(cycles) * progress;
                let peak = restart_decay.powf(falls.floor());
                [peak, half_wave(falls.fract())]
            }
            Self::Polynomial { power, end_factor } => {
                let part = (1.0 - end_factor) * remaining.powf(power) + end_factor;
                [1.0, part]
            }
            Self::Rex => [1.0, remaining / (0.5 + 0.5 * remaining)],
            Self::InverseSqrt { timescale } => {
                let timescale = timescale.max(1) as f64;
                [1.0, ((after as f64 + timescale) / timescale).sqrt().recip()]
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

    const DECAYS: [Decay; 8] = [
        Decay::Constant,
        Decay::Linear,
        Decay::Cosine,
        Decay::CosineWithRestarts {
            cycles: 2,
            restart_decay: 1.0,
        },
        Decay::Polynomial {
            power: 2.0,
            end_factor: 0.1,
        },
        Decay::Rex,
        Decay::InverseSqrt { timescale: 4 },
        Decay::OneCycle,
    ];

    fn curve(decay: Decay, warmup: u64, total: u64) -> Curve {
        Curve {
            decay,
            warmup,
            total,
            min_factor: 0.0,
        }
    }

    #[test]
    fn a_run_that_is_all_warmup_never_divides_by_zero() {
        for decay in DECAYS {
            let curve = curve(decay, 4, 4);
            if decay != Decay::OneCycle {
                let rise = [0, 2, 4].map(|step| curve.at(step));
                assert_eq!(rise, [0.0, 0.5, 1.0], "{decay:?}");
            }
            assert!((0..9).all(|step| curve.at(step).is_finite()), "{decay:?}");
        }
        for decay in DECAYS {
            for (warmup, total) in [(0, 0), (0, 1), (1, 1), (5, 2)] {
                let curve = curve(decay, warmup, total);
                let all = (0..9).map(|step| curve.at(step));
                assert!(
                    all.clone().all(|factor| (0.0..=1.0).contains(&factor)),
                    "{decay:?} {warmup} {total}"
                );
            }
        }
    }

    #[test]
    fn beyond_the_end_the_factor_stays_where_the_reference_leaves_it() {
        let after = |decay| curve(decay, 0, 10).at(20);
        let root = 6.0_f64.sqrt().recip();
        assert_eq!(
            DECAYS.map(after),
            [1.0, 0.0, 1.0, 0.0, 0.1, 0.0, root, ONE_CYCLE_END]
        );
    }

    #[test]
    fn restarts_can_be_lower_each_time_and_a_least_rate_holds() {
        let falls = Decay::CosineWithRestarts {
            cycles: 4,
            restart_decay: 0.5,
        };
        let mut falling = curve(falls, 0, 400);
        let peaks = [0, 100, 200, 300].map(|step| falling.at(step));
        assert_eq!(peaks, [1.0, 0.5, 0.25, 0.125]);
        assert!((falling.at(150) - 0.25).abs() < 1e-12, "half of a half");
        falling.min_factor = 0.2;
        let peaks = [0, 100, 200, 300, 400].map(|step| falling.at(step));
        assert_eq!(peaks, [1.0, 0.5, 0.25, 0.2, 0.2]);
        for decay in [Decay::Linear, Decay::Cosine, Decay::Rex] {
            let curve = Curve {
                min_factor: 0.2,
                ..curve(decay, 10, 100)
            };
            assert_eq!([curve.at(0), curve.at(10)], [0.0, 1.0], "{decay:?}");
            assert!((curve.at(100) - 0.2).abs() < 1e-12, "{decay:?}");
        }
    }

    /// Values worked out by hand.
    #[test]
    fn rex_falls_late_and_one_cycle_rises_before_it_falls() {
        let rex = curve(Decay::Rex, 0, 100);
        assert!((rex.at(50) - 2.0 / 3.0).abs() < 1e-12);
        assert!((rex.at(90) - 0.1 / 0.55).abs() < 1e-12);
        let cycle = curve(Decay::OneCycle, 31, 101);
        assert!((cycle.at(0) - 0.04).abs() < 1e-12);
        assert!((cycle.at(15) - 0.52).abs() < 1e-12);
        assert_eq!(cycle.at(30), 1.0);
        assert!((cycle.at(65) - f64::midpoint(1.0, ONE_CYCLE_END)).abs() < 1e-12);
        assert!((cycle.at(100) - ONE_CYCLE_END).abs() < 1e-12);
    }
}
