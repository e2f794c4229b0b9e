use super::{
    super::python_text::{boolean, float, optional},
    Entries,
};

/// How the noise differed from a plain normal distribution, its offset aside.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseFacts {
    /// Whether the offset's strength was drawn anew for each picture.
    pub offset_random_strength: bool,
    /// What the latents' mean is multiplied by and added to the offset, when it is.
    pub adaptive_scale: Option<f64>,
    /// Number of coarser noises that were added (multi-resolution noise), when any.
    pub multires_iterations: Option<u32>,
    /// By how much each coarser noise is weaker than the one before.
    pub multires_discount: f64,
    /// Strength of the perturbation of the input (Ning et al. 2023), when used.
    pub input_perturbation: Option<f64>,
    /// Whether that strength was drawn anew for each picture.
    pub input_perturbation_random_strength: bool,
    /// Whether the schedule was rescaled to end in pure noise (Lin et al. 2023).
    pub zero_terminal_snr: bool,
}

impl Default for NoiseFacts {
    fn default() -> Self {
        Self {
            offset_random_strength: false,
            adaptive_scale: None,
            multires_iterations: None,
            multires_discount: 0.3,
            input_perturbation: None,
            input_perturbation_random_strength: false,
            zero_terminal_snr: false,
        }
    }
}

impl NoiseFacts {
    pub(in super::super) fn entries(self) -> Entries {
        vec![
            ("adaptive_noise_scale", optional(self.adaptive_scale, float)),
            ("ip_noise_gamma", optional(self.input_perturbation, float)),
            (
                "ip_noise_gamma_random_strength",
                boolean(self.input_perturbation_random_strength),
            ),
            ("multires_noise_discount", float(self.multires_discount)),
            (
                "multires_noise_iterations",
                optional(self.multires_iterations, |n| n.to_string()),
            ),
            (
                "noise_offset_random_strength",
                boolean(self.offset_random_strength),
            ),
            ("zero_terminal_snr", boolean(self.zero_terminal_snr)),
        ]
    }
}
