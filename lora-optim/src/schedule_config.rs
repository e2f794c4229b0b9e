//! The learning-rate schedule as a config file names it.

use serde::{Deserialize, Serialize};

use crate::{Curve, Decay, SettingError, setting};

/// A learning-rate schedule of diffusers, with kohya's names.
///
/// Settings that the kind does not use are ignored, as in diffusers and kohya.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The shape of the curve.
    pub kind: ScheduleKind,
    /// How long the rate rises from 0 to its base value. `constant` has no warm-up.
    pub warmup: Warmup,
    /// How many times `cosine_with_restarts` falls.
    pub cycles: u32,
    /// The exponent of `polynomial`.
    pub power: f64,
    /// What fraction of the base rate `polynomial` ends at. Diffusers' end is 1e-7 absolute: a thousandth of 1e-4.
    pub end_factor: f64,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Constant,
            warmup: Warmup::Steps(0),
            cycles: 1,
            power: 1.0,
            end_factor: 1e-3,
        }
    }
}

/// The shape of a schedule's curve, by diffusers' name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// The base rate throughout.
    Constant,
    /// Warm-up, then the base rate.
    ConstantWithWarmup,
    /// Warm-up, then a straight line to 0.
    Linear,
    /// Warm-up, then half a cosine wave to 0.
    Cosine,
    /// Warm-up, then `cycles` half waves to 0.
    CosineWithRestarts,
    /// Warm-up, then a power of what remains, down to `end_factor`.
    Polynomial,
}

/// The length of the warm-up: a whole number is steps, a number with a point is a fraction of the run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a number of steps such as 100, or a fraction of the run such as 0.05"
)]
pub enum Warmup {
    /// So many steps.
    Steps(u64),
    /// This part of the run, between 0 and 1, rounded down to whole steps.
    Fraction(f64),
}

impl Warmup {
    /// The warm-up in steps, for a run of `total_steps`.
    pub fn steps(self, total_steps: u64) -> u64 {
        match self {
            Self::Steps(steps) => steps,
            Self::Fraction(fraction) => (fraction * total_steps as f64) as u64,
        }
    }
}

impl ScheduleConfig {
    /// The schedule for a run of `total_steps` optimiser updates.
    ///
    /// # Errors
    /// All settings that are out of range.
    pub fn build(&self, total_steps: u64) -> Result<Curve, Vec<SettingError>> {
        let warmup = match self.kind {
            ScheduleKind::Constant => 0,
            _ => self.warmup.steps(total_steps),
        };
        setting::build(self.problems(), || Curve {
            decay: self.decay(),
            warmup,
            total: total_steps,
        })
    }

    fn problems(&self) -> Vec<SettingError> {
        let warmup_fraction = match self.warmup {
            Warmup::Steps(_) => 0.0,
            Warmup::Fraction(fraction) => fraction,
        };
        let fraction = |value: f64| (0.0..=1.0).contains(&value);
        [
            setting::require(
                fraction(warmup_fraction),
                "warmup",
                "a fraction from 0.0 to 1.0",
                warmup_fraction,
            ),
            setting::require(
                self.cycles > 0,
                "cycles",
                "at least 1",
                f64::from(self.cycles),
            ),
            setting::require(
                self.power > 0.0 && self.power.is_finite(),
                "power",
                "above 0",
                self.power,
            ),
            setting::require(
                fraction(self.end_factor),
                "end_factor",
                "from 0.0 to 1.0",
                self.end_factor,
            ),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn decay(&self) -> Decay {
        match self.kind {
            ScheduleKind::Constant | ScheduleKind::ConstantWithWarmup => Decay::Constant,
            ScheduleKind::Linear => Decay::Linear,
            ScheduleKind::Cosine => Decay::Cosine,
            ScheduleKind::CosineWithRestarts => Decay::CosineWithRestarts {
                cycles: self.cycles,
            },
            ScheduleKind::Polynomial => Decay::Polynomial {
                power: self.power,
                end_factor: self.end_factor,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ScheduleConfig {
        toml::from_str(text).expect("valid TOML")
    }

    #[test]
    fn a_warmup_is_steps_or_a_fraction() {
        assert_eq!(
            parse("kind = 'cosine'\nwarmup = 7")
                .build(100)
                .map(|curve| curve.warmup),
            Ok(7)
        );
        assert_eq!(
            parse("kind = 'cosine'\nwarmup = 0.05")
                .build(119)
                .map(|curve| curve.warmup),
            Ok(5)
        );
        assert_eq!(
            parse("warmup = 7").build(100).map(|curve| curve.warmup),
            Ok(0),
            "constant has no warm-up"
        );
    }

    #[test]
    fn a_wrong_warmup_is_explained() {
        let error = toml::from_str::<ScheduleConfig>("warmup = 'long'").expect_err("not a number");
        assert!(
            error.to_string().contains("a number of steps such as 100"),
            "{error}"
        );
    }

    #[test]
    fn all_settings_out_of_range_are_named_at_once() {
        let config = parse("warmup = 1.5\ncycles = 0\npower = -1.0\nend_factor = nan");
        let problems = config.build(10).expect_err("four problems");
        let named: Vec<_> = problems.iter().map(|problem| problem.setting).collect();
        assert_eq!(named, ["warmup", "cycles", "power", "end_factor"]);
        assert_eq!(
            problems[0].to_string(),
            "`warmup` must be a fraction from 0.0 to 1.0, found 1.5"
        );
    }
}
