use serde::{Deserialize, Serialize};

/// An average of the trained matrices, exponential in time, which is what is drawn with, measured and saved.
///
/// As diffusers' `EMAModel`. After `n` = step − 1 − `update_after_step` steps, each step keeps so much of the average:
/// min(`decay`, (1 + n) / (10 + n)), or with a `power` min(`decay`, 1 − (1 + n / `inv_gamma`)^−`power`); 0 while n ≤ 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmaConfig {
    /// The most that a step keeps of the average; unset means no average.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<f64>,
    /// The least that it keeps, once it keeps any.
    pub min_decay: f64,
    /// Steps, after the first, until which the average is the matrices themselves.
    pub update_after_step: u64,
    /// How fast the average lengthens at first; unset means (1 + n) / (10 + n).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub power: Option<f64>,
    /// Steps that count as one, where there is a `power`.
    pub inv_gamma: f64,
}

impl Default for EmaConfig {
    fn default() -> Self {
        Self {
            decay: None,
            min_decay: 0.0,
            update_after_step: 0,
            power: None,
            inv_gamma: 1.0,
        }
    }
}

impl EmaConfig {
    /// What keeps it from being used, one sentence each.
    pub(crate) fn problems(&self) -> Vec<String> {
        let part = |value: f64| (0.0..1.0).contains(&value);
        let positive = |value: f64| value > 0.0 && value.is_finite();
        [
            (
                self.decay.is_none_or(part),
                "ema.decay must be at least 0 and below 1, usually 0.99 to 0.999; leave it out for no average",
            ),
            (
                self.decay.is_none_or(|decay| part(self.min_decay) && self.min_decay <= decay),
                "ema.min_decay must be at least 0 and at most ema.decay",
            ),
            (
                self.power.is_none_or(positive),
                "ema.power must be above 0, usually 0.67; leave it out for the usual warm-up",
            ),
            (
                positive(self.inv_gamma),
                "ema.inv_gamma must be above 0, usually 1",
            ),
        ]
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, problem)| problem.to_owned())
        .collect()
    }
}
