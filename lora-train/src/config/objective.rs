use serde::{Deserialize, Serialize};

/// What the loss is: the mean over a batch of each picture's mean squared error, weighted and disturbed as asked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectiveConfig {
    /// Limits the weight of easy timesteps (Hang et al. 2023); 5 is usual, unset means no weighting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_snr_gamma: Option<f64>,
    /// Adds one normal number times this to all pixels of each noise channel, for darker darks; unset means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_offset: Option<f64>,
}
