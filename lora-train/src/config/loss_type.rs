use serde::{Deserialize, Serialize};

/// The error of a single number of the prediction, by kohya's name; d is its difference from the target, c a threshold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossType {
    /// d².
    #[default]
    L2,
    /// |d|.
    L1,
    /// 2c (√(d² + c²) − c): d² while d is far below c, 2c |d| far above.
    Huber,
    /// 2 (√(d² + c²) − c): d² / c while d is far below c, 2 |d| far above.
    SmoothL1,
}

impl LossType {
    /// Its name in config files and in kohya's metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::L2 => "l2",
            Self::L1 => "l1",
            Self::Huber => "huber",
            Self::SmoothL1 => "smooth_l1",
        }
    }
}

/// How the threshold c of [`LossType::Huber`] and [`LossType::SmoothL1`] depends on the timestep t of T.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HuberSchedule {
    /// `huber_scale` · `huber_c`.
    Constant,
    /// `huber_scale` · `huber_c` ^ (t / T).
    Exponential,
    /// (1 − `huber_c`) / (1 + σ)² + `huber_c`, where σ² is noise over signal, 1 / SNR.
    #[default]
    Snr,
}

impl HuberSchedule {
    /// Its name in config files and in kohya's metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Exponential => "exponential",
            Self::Snr => "snr",
        }
    }
}

#[cfg(test)]
mod tests {
    use HuberSchedule::{Constant, Exponential, Snr};

    use super::*;

    #[test]
    fn names_are_those_of_config_files() {
        for loss in [
            LossType::L2,
            LossType::L1,
            LossType::Huber,
            LossType::SmoothL1,
        ] {
            assert_eq!(serde_json::json!(loss), loss.name());
        }
        for schedule in [Constant, Exponential, Snr] {
            assert_eq!(serde_json::json!(schedule), schedule.name());
        }
    }
}
