use super::{
    super::python_text::{boolean, float},
    Entries,
};

/// What was minimised.
#[derive(Debug, Clone, PartialEq)]
pub struct LossFacts {
    /// `l2`, `l1`, `huber` or `smooth_l1`.
    pub kind: String,
    /// `constant`, `exponential` or `snr`: how Huber's threshold depends on the timestep.
    pub huber_schedule: String,
    /// Huber's threshold.
    pub huber_c: f64,
    /// What Huber's threshold is multiplied by.
    pub huber_scale: f64,
    /// Whether the loss of a timestep was divided by the square root of its signal-to-noise ratio.
    pub debiased_estimation: bool,
    /// Weight of regularisation pictures.
    pub prior_loss_weight: f64,
}

impl Default for LossFacts {
    fn default() -> Self {
        Self {
            kind: "l2".to_owned(),
            huber_schedule: "snr".to_owned(),
            huber_c: 0.1,
            huber_scale: 1.0,
            debiased_estimation: false,
            prior_loss_weight: 1.0,
        }
    }
}

impl LossFacts {
    pub(in super::super) fn entries(&self) -> Entries {
        vec![
            ("debiased_estimation", boolean(self.debiased_estimation)),
            ("huber_c", float(self.huber_c)),
            ("huber_scale", float(self.huber_scale)),
            ("huber_schedule", self.huber_schedule.clone()),
            ("loss_type", self.kind.clone()),
            ("prior_loss_weight", float(self.prior_loss_weight)),
        ]
    }
}
