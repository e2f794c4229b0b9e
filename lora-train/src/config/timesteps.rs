use serde::{Deserialize, Serialize};

/// Which timesteps are trained, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimestepConfig {
    /// The first timestep.
    pub min: usize,
    /// The one after the last; that of the model's schedule, 1000, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<usize>,
    /// How often each of them comes.
    pub distribution: TimestepDistribution,
    /// Mean of the normal distribution behind `logit_normal`; below 0 favours little noise.
    pub mean: f64,
    /// Its standard deviation; smaller keeps to the middle.
    pub std: f64,
    /// Whether successive showings are spread over the distribution as evenly as can be, rather than drawn one by one.
    pub stratified: bool,
}

impl Default for TimestepConfig {
    fn default() -> Self {
        Self {
            min: 0,
            max: None,
            distribution: TimestepDistribution::Uniform,
            mean: 0.0,
            std: 1.0,
            stratified: false,
        }
    }
}

/// How often each timestep of the range comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimestepDistribution {
    /// All alike.
    #[default]
    Uniform,
    /// At the part sigmoid(z) of the range, for a normal z (Esser et al. 2024; kohya's and diffusers' `logit_normal`, and
    /// with mean 0 kohya's `sigmoid`).
    LogitNormal,
}

impl TimestepConfig {
    /// Whether only a part of the schedule is trained.
    pub fn is_limited(&self) -> bool {
        self.min > 0 || self.max.is_some()
    }

    /// All that is wrong with the settings, for a schedule of `length` timesteps where that is known.
    pub(crate) fn problems(&self, length: Option<usize>) -> Vec<String> {
        let Self {
            min,
            max,
            mean,
            std,
            ..
        } = *self;
        let end = max.or(length);
        let empty = end.is_some_and(|end| min >= end);
        let beyond = max.zip(length).filter(|(max, length)| max > length);
        let checks = [
            empty.then(|| {
                let end = end.unwrap_or_default();
                format!("timesteps.min must be below timesteps.max, found {min} and {end}")
            }),
            beyond.map(|(max, length)| {
                format!("timesteps.max must be at most {length}, the length of the model's schedule, found {max}")
            }),
            (!mean.is_finite()).then(|| format!("timesteps.mean must be a number, usually 0, found {mean}")),
            (!(std > 0.0 && std.is_finite()))
                .then(|| format!("timesteps.std must be a number above 0, usually 1, found {std}")),
        ];
        checks.into_iter().flatten().collect()
    }
}
