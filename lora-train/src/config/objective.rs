use serde::{Deserialize, Serialize};

use super::{HuberSchedule, LossType, WeightTable};

/// What the loss is: the mean over a batch of each picture's mean error, weighted and disturbed as asked.
///
/// Names and formulas are those of kohya's sd-scripts where it has the setting.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent settings, not states of one thing"
)]
pub struct ObjectiveConfig {
    /// The error of a single number of the prediction.
    pub loss_type: LossType,
    /// How the threshold of `huber` and `smooth_l1` depends on the timestep.
    pub huber_schedule: HuberSchedule,
    /// Their threshold, or what it falls to.
    pub huber_c: f64,
    /// What their threshold is multiplied by, under the schedules that have a scale: `constant` and `exponential`.
    pub huber_scale: f64,
    /// Limits the weight of easy timesteps (Hang et al. 2023); 5 is usual, unset means no weighting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_snr_gamma: Option<f64>,
    /// The same without a corner at γ (Crowson et al. 2024); 4 is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soft_min_snr_gamma: Option<f64>,
    /// Whether timesteps weigh 1 / √SNR, the factor from an error of the noise to one of the picture (Yu et al. 2024).
    pub debiased_estimation: bool,
    /// Lets timesteps count less where little noise is left to see (P2; Choi et al. 2022); 0.5 or 1 is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p2_gamma: Option<f64>,
    /// The `k` of P2, which limits the weight of the noisiest timesteps.
    pub p2_k: f64,
    /// For velocity models: weighs the loss as that of the noise that the velocity implies.
    pub scale_v_pred_loss_like_noise_pred: bool,
    /// For epsilon models: adds so many times the loss of the velocity that the noise implies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub v_pred_like_loss: Option<f64>,
    /// Adds one normal number times this to all pixels of each noise channel, for darker darks; unset means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise_offset: Option<f64>,
    /// Whether each showing has a part of the noise offset, drawn between nothing and all of it.
    pub noise_offset_random_strength: bool,
    /// Adds the latents' mean, times this, to the noise offset of each channel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adaptive_noise_scale: Option<f64>,
    /// Adds so many coarser and coarser noises (pyramid noise); 6 to 10 is usual, unset means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multires_noise_iterations: Option<u32>,
    /// By how much each of them is weaker than the one before.
    pub multires_noise_discount: f64,
    /// Disturbs the network's input, but not its target, by noise of this strength (Ning et al. 2023); 0.1 is usual.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_perturbation: Option<f64>,
    /// Whether each showing has a part of that strength, drawn between nothing and all of it.
    pub input_perturbation_random_strength: bool,
    /// How much each timestep counts, as a curve of one's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_table: Option<WeightTable>,
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self {
            loss_type: LossType::L2,
            huber_schedule: HuberSchedule::Snr,
            huber_c: 0.1,
            huber_scale: 1.0,
            min_snr_gamma: None,
            soft_min_snr_gamma: None,
            debiased_estimation: false,
            p2_gamma: None,
            p2_k: 1.0,
            scale_v_pred_loss_like_noise_pred: false,
            v_pred_like_loss: None,
            noise_offset: None,
            noise_offset_random_strength: false,
            adaptive_noise_scale: None,
            multires_noise_iterations: None,
            multires_noise_discount: 0.3,
            input_perturbation: None,
            input_perturbation_random_strength: false,
            weight_table: None,
        }
    }
}
