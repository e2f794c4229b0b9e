//! The learning-rate schedule as a config file names it.

use serde::{Deserialize, Serialize};

use crate::{Curve, Decay, SettingError, setting};

/// A learning-rate schedule, by the name that kohya, diffusers, transformers or PyTorch gives it.
///
/// Settings that the kind does not use are ignored, as in diffusers and kohya.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The shape of the curve.
    pub kind: ScheduleKind,
    /// How long the rate rises from 0 to its base value. `constant` has no warm-up; that of `one_cycle` is 30 % of the
    /// run unless something else is said.
    pub warmup: Warmup,
    /// How many times `cosine_with_restarts` falls.
    pub cycles: u32,
    /// The part of its last peak that each fall of `cosine_with_restarts` begins at.
    pub restart_decay: f64,
    /// The exponent of `polynomial`.
    pub power: f64,
    /// What fraction of the base rate `polynomial` ends at. Diffusers' end is 1e-7 absolute: a thousandth of 1e-4.
    pub end_factor: f64,
    /// What fraction of the base rate the other falling kinds end at.
    pub min_factor: f64,
    /// Steps after the warm-up at which `inverse_sqrt` has fallen to the root of a half; the warm-up's length when left
    /// out, or 10,000 without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timescale: Option<u64>,
}

impl Default for ScheduleConfig {
    fn default() -> Self {
        Self {
            kind: ScheduleKind::Constant,
            warmup: Warmup::Steps(0),
            cycles: 1,
            restart_decay: 1.0,
            power: 1.0,
            end_factor: 1e-3,
            min_factor: 0.0,
            timescale: None,
        }
    }
}

/// The shape of a schedule's curve, by diffusers' name where it has one.
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
    /// Warm-up, then a fall that is slow at first and steep at the end (REX).
    Rex,
    /// Warm-up, then the inverse square root of the steps.
    InverseSqrt,
    /// A rise from a 25th of the rate over the warm-up, then a fall to next to nothing, both as cosine waves.
    OneCycle,
}

impl ScheduleKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Constant,
        Self::ConstantWithWarmup,
        Self::Linear,
        Self::Cosine,
        Self::CosineWithRestarts,
        Self::Polynomial,
        Self::Rex,
        Self::InverseSqrt,
        Self::OneCycle,
    ];

    /// Its name in config files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::ConstantWithWarmup => "constant_with_warmup",
            Self::Linear => "linear",
            Self::Cosine => "cosine",
            Self::CosineWithRestarts => "cosine_with_restarts",
            Self::Polynomial => "polynomial",
            Self::Rex => "rex",
            Self::InverseSqrt => "inverse_sqrt",
            Self::OneCycle => "one_cycle",
        }
    }
}

/// The warm-up of `one_cycle` where none is named: PyTorch's `pct_start`.
const ONE_CYCLE_WARMUP: Warmup = Warmup::Fraction(0.3);
/// The timescale of `inverse_sqrt` without a warm-up: transformers'.
const TIMESCALE: u64 = 10_000;

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
            ScheduleKind::OneCycle if self.warmup == Warmup::Steps(0) => {
                ONE_CYCLE_WARMUP.steps(total_steps)
            }
            _ => self.warmup.steps(total_steps),
        };
        setting::build(self.problems(), || Curve {
            decay: self.decay(warmup),
            warmup,
            total: total_steps,
            min_factor: self.min_factor,
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
            setting::require(
                fraction(self.min_factor),
                "min_factor",
                "from 0.0 to 1.0",
                self.min_factor,
            ),
            setting::require(
                fraction(self.restart_decay),
                "restart_decay",
                "from 0.0 to 1.0",
                self.restart_decay,
            ),
            setting::require(self.timescale != Some(0), "timescale", "at least 1", 0.0),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn decay(&self, warmup: u64) -> Decay {
        match self.kind {
            ScheduleKind::Constant | ScheduleKind::ConstantWithWarmup => Decay::Constant,
            ScheduleKind::Linear => Decay::Linear,
            ScheduleKind::Cosine => Decay::Cosine,
            ScheduleKind::CosineWithRestarts => Decay::CosineWithRestarts {
                cycles: self.cycles,
                restart_decay: self.restart_decay,
            },
            ScheduleKind::Polynomial => Decay::Polynomial {
                power: self.power,
                end_factor: self.end_factor,
            },
            ScheduleKind::Rex => Decay::Rex,
            ScheduleKind::InverseSqrt => Decay::InverseSqrt {
                timescale: self.timescale.unwrap_or(match warmup {
                    0 => TIMESCALE,
                    steps => steps,
                }),
            },
            ScheduleKind::OneCycle => Decay::OneCycle,
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
    fn every_kind_is_read_by_its_name_and_fits_its_run() {
        for kind in ScheduleKind::ALL {
            let config = parse(&format!("kind = '{}'\nwarmup = 3", kind.name()));
            assert_eq!(config.kind, kind);
            config.build(10).expect("in range");
        }
        assert_eq!(
            parse("kind = 'one_cycle'")
                .build(100)
                .map(|curve| curve.warmup),
            Ok(30)
        );
        let decay = |text: &str| parse(text).build(100).map(|curve| curve.decay);
        let timescale = |timescale| Ok(Decay::InverseSqrt { timescale });
        assert_eq!(decay("kind = 'inverse_sqrt'"), timescale(10_000));
        assert_eq!(decay("kind = 'inverse_sqrt'\nwarmup = 7"), timescale(7));
        assert_eq!(
            decay("kind = 'inverse_sqrt'\nwarmup = 7\ntimescale = 9"),
            timescale(9)
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
        let config = parse(
            "warmup = 1.5\ncycles = 0\npower = -1.0\nend_factor = nan\nmin_factor = 2.0\n\
             restart_decay = -1.0\ntimescale = 0",
        );
        let problems = config.build(10).expect_err("seven problems");
        let named: Vec<_> = problems.iter().map(|problem| problem.setting).collect();
        assert_eq!(
            named,
            [
                "warmup",
                "cycles",
                "power",
                "end_factor",
                "min_factor",
                "restart_decay",
                "timescale"
            ]
        );
        assert_eq!(
            problems[0].to_string(),
            "`warmup` must be a fraction from 0.0 to 1.0, found 1.5"
        );
    }
}
