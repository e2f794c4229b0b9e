//! Which settings of the objective work, alone, together and with a model.

use lora_core::diffusion::{NoiseSchedule, PredictionType};

use super::{ObjectiveError, timestep_weight};
use crate::config::{HuberSchedule, LossType, ObjectiveConfig, WeightTable};

impl ObjectiveConfig {
    /// All that is wrong with the settings, whatever the model.
    pub(crate) fn problems(&self) -> Vec<ObjectiveError> {
        let mut errors = self.out_of_range();
        let rules = timestep_weight::rules(self);
        if let [first, second, ..] = rules[..] {
            errors.push(ObjectiveError::Exclusive { first, second });
        }
        errors.extend(self.alone());
        let has_threshold = matches!(self.loss_type, LossType::Huber | LossType::SmoothL1);
        let scaled = (self.huber_scale - 1.0).abs() > 0.0;
        if has_threshold && scaled && self.huber_schedule == HuberSchedule::Snr {
            errors.push(ObjectiveError::UnusedScale);
        }
        let table = self.weight_table.as_ref().and_then(WeightTable::problem);
        errors.extend(table.map(|reason| ObjectiveError::Table { reason }));
        errors
    }

    fn out_of_range(&self) -> Vec<ObjectiveError> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let from_zero = |value: f64| value >= 0.0 && value.is_finite();
        let optional = |value: Option<f64>, fits: fn(f64) -> bool, usual: f64| {
            let value = value.unwrap_or(usual);
            (fits(value), value)
        };
        let iterations = self.multires_noise_iterations.unwrap_or(1);
        let discount = self.multires_noise_discount;
        [
            (
                "huber_c",
                "above 0, usually 0.1",
                (positive(self.huber_c), self.huber_c),
            ),
            (
                "huber_scale",
                "above 0, usually 1",
                (positive(self.huber_scale), self.huber_scale),
            ),
            (
                "min_snr_gamma",
                "above 0, usually 5",
                optional(self.min_snr_gamma, positive, 5.0),
            ),
            (
                "soft_min_snr_gamma",
                "above 0, usually 4",
                optional(self.soft_min_snr_gamma, positive, 4.0),
            ),
            (
                "p2_gamma",
                "0 or above, usually 0.5 or 1",
                optional(self.p2_gamma, from_zero, 1.0),
            ),
            (
                "p2_k",
                "above 0, usually 1",
                (positive(self.p2_k), self.p2_k),
            ),
            (
                "v_pred_like_loss",
                "0 or above",
                optional(self.v_pred_like_loss, from_zero, 0.0),
            ),
            (
                "noise_offset",
                "a number, usually 0.03 to 0.1",
                optional(self.noise_offset, f64::is_finite, 0.0),
            ),
            (
                "adaptive_noise_scale",
                "a number",
                optional(self.adaptive_noise_scale, f64::is_finite, 0.0),
            ),
            (
                "multires_noise_iterations",
                "from 1 to 64, usually 6 to 10",
                ((1..=64).contains(&iterations), iterations.into()),
            ),
            (
                "multires_noise_discount",
                "0 or above, usually 0.1 to 0.3",
                (from_zero(discount), discount),
            ),
            (
                "input_perturbation",
                "0 or above, usually 0.1",
                optional(self.input_perturbation, from_zero, 0.1),
            ),
        ]
        .into_iter()
        .filter(|&(_, _, (fits, _))| !fits)
        .map(
            |(setting, expected, (_, found))| ObjectiveError::OutOfRange {
                setting,
                expected,
                found,
            },
        )
        .collect()
    }

    /// Settings that belong to another one, which is not there.
    fn alone(&self) -> Vec<ObjectiveError> {
        let offset = self.noise_offset.is_some();
        [
            (
                self.noise_offset_random_strength,
                "noise_offset_random_strength",
                offset,
                "noise_offset",
            ),
            (
                self.adaptive_noise_scale.is_some(),
                "adaptive_noise_scale",
                offset,
                "noise_offset",
            ),
            (
                self.input_perturbation_random_strength,
                "input_perturbation_random_strength",
                self.input_perturbation.is_some(),
                "input_perturbation",
            ),
        ]
        .into_iter()
        .filter(|(set, _, there, _)| *set && !there)
        .map(|(_, setting, _, needed)| ObjectiveError::Alone { setting, needed })
        .collect()
    }

    /// All that does not fit a model of this schedule.
    pub(crate) fn misfits(&self, schedule: &NoiseSchedule) -> Vec<ObjectiveError> {
        let mut errors = Vec::new();
        let mut other = |set: bool, setting, expected| {
            if set {
                errors.push(ObjectiveError::OtherPrediction { setting, expected });
            }
        };
        let is_velocity = schedule.prediction_type() == PredictionType::VPrediction;
        let (scaled, like) = (
            self.scale_v_pred_loss_like_noise_pred,
            self.v_pred_like_loss,
        );
        other(
            scaled && !is_velocity,
            "scale_v_pred_loss_like_noise_pred",
            "the velocity",
        );
        other(
            like.is_some() && is_velocity,
            "v_pred_like_loss",
            "the noise",
        );
        let weights = timestep_weight::table(self, schedule);
        let infinite = weights.iter().position(|weight| !weight.is_finite());
        errors.extend(infinite.map(|timestep| ObjectiveError::Infinite {
            setting: if self.debiased_estimation {
                "debiased_estimation"
            } else {
                "v_pred_like_loss"
            },
            timestep,
        }));
        errors
    }
}

#[cfg(test)]
mod tests {
    use PredictionType::{Epsilon, VPrediction};
    use lora_core::diffusion::SchedulerConfig;

    use super::*;

    fn parsed(text: &str) -> ObjectiveConfig {
        toml::from_str(text).expect("valid TOML")
    }

    fn told(text: &str) -> Vec<String> {
        let problems = parsed(text).problems();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn defaults_and_usual_settings_are_fine() {
        for text in [
            "",
            "min_snr_gamma = 5\nnoise_offset = 0.05\nmultires_noise_iterations = 6\ninput_perturbation = 0.1",
            "loss_type = 'huber'\nhuber_schedule = 'constant'\nhuber_scale = 2\ndebiased_estimation = true",
            "noise_offset = 0.1\nnoise_offset_random_strength = true\nadaptive_noise_scale = -0.1\np2_gamma = 0",
        ] {
            assert_eq!(told(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn every_number_out_of_range_is_named() {
        let told = told(
            "huber_c = 0\nhuber_scale = -1\nmin_snr_gamma = 0\np2_k = 0\nv_pred_like_loss = -1\nnoise_offset = nan\n\
             adaptive_noise_scale = inf\nmultires_noise_iterations = 0\nmultires_noise_discount = -1\ninput_perturbation = -1",
        );
        let named = [
            "huber_c",
            "huber_scale",
            "min_snr_gamma",
            "p2_k",
            "v_pred_like_loss",
            "noise_offset",
            "adaptive_noise_scale",
            "multires_noise_iterations",
            "multires_noise_discount",
            "input_perturbation",
        ];
        assert_eq!(told.len(), named.len(), "{told:?}");
        for (told, name) in told.iter().zip(named) {
            assert!(told.starts_with(&format!("`{name}` must be ")), "{told}");
        }
        assert_eq!(
            told[2],
            "`min_snr_gamma` must be above 0, usually 5, found 0"
        );
        assert_eq!(parsed("soft_min_snr_gamma = -1").problems().len(), 1);
        assert_eq!(parsed("p2_gamma = -1").problems().len(), 1);
    }

    #[test]
    fn two_rules_for_the_weight_of_a_timestep_are_refused() {
        let rules = [
            "min_snr_gamma = 5",
            "soft_min_snr_gamma = 5",
            "debiased_estimation = true",
            "p2_gamma = 1",
            "weight_table = { by = 'snr', points = [[1, 1]] }",
        ];
        for (place, first) in rules.iter().enumerate() {
            for second in &rules[place + 1..] {
                let told = told(&format!("{first}\n{second}"));
                assert_eq!(told.len(), 1, "{first} {second}");
                assert!(told[0].contains("keep one of them"), "{told:?}");
            }
        }
    }

    #[test]
    fn settings_with_nothing_to_act_on_are_refused() {
        for text in [
            "noise_offset_random_strength = true",
            "adaptive_noise_scale = 0.1",
            "input_perturbation_random_strength = true",
            "loss_type = 'huber'\nhuber_scale = 2",
            "weight_table = { by = 'snr', points = [] }",
        ] {
            assert_eq!(told(text).len(), 1, "{text}");
        }
    }

    #[test]
    fn settings_for_other_models_are_refused() {
        let misfits = |text: &str, prediction_type, rescale_betas_zero_snr| {
            let schedule = NoiseSchedule::new(&SchedulerConfig {
                prediction_type,
                rescale_betas_zero_snr,
                ..SchedulerConfig::default()
            });
            parsed(text).misfits(&schedule)
        };
        let scaled = "scale_v_pred_loss_like_noise_pred = true";
        assert_eq!(misfits(scaled, Epsilon, false).len(), 1);
        assert_eq!(misfits(scaled, VPrediction, true), []);
        assert_eq!(misfits("v_pred_like_loss = 1", VPrediction, false).len(), 1);
        assert_eq!(misfits("v_pred_like_loss = 1", Epsilon, false), []);
        for setting in ["v_pred_like_loss", "debiased_estimation"] {
            let value = if setting == "v_pred_like_loss" {
                "1"
            } else {
                "true"
            };
            let infinite = ObjectiveError::Infinite {
                setting,
                timestep: 999,
            };
            assert_eq!(
                misfits(&format!("{setting} = {value}"), Epsilon, true),
                [infinite]
            );
        }
        let others = [
            "min_snr_gamma = 5",
            "soft_min_snr_gamma = 5",
            "p2_gamma = 1",
        ];
        for text in others {
            assert_eq!(misfits(text, Epsilon, true), [], "{text}");
            assert_eq!(misfits(text, VPrediction, true), [], "{text}");
        }
        assert_eq!(misfits("debiased_estimation = true", VPrediction, true), []);
    }
}
