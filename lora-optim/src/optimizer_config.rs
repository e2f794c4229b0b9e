//! The optimiser as a config file names it.

use serde::{Deserialize, Serialize};

use crate::{
    AdafactorConfig, Adamw8bitConfig, AdamwConfig, AdamwScheduleFreeConfig, DadaptAdamConfig,
    DadaptLionConfig, DadaptSgdConfig, Joined, Lion8bitConfig, LionConfig, Optimizer,
    ProdigyConfig, SettingError, SgdConfig,
};

/// The optimisers that a config file can name with `kind`; code may pass any [`Optimizer`] instead.
///
/// A new one is a variant here, its settings in a file of its own, and a row of `tests/golden/conformance.rs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    Adamw(AdamwConfig),
    /// AdamW with moments in eight bits.
    Adamw8bit(Adamw8bitConfig),
    /// Steps by the sign of a momentum.
    Lion(LionConfig),
    /// Lion with its momentum in eight bits.
    Lion8bit(Lion8bitConfig),
    /// Gradient descent with momentum.
    Sgd(SgdConfig),
    /// AdamW with row and column sums for second moments.
    Adafactor(AdafactorConfig),
    /// AdamW whose average of the way replaces a schedule.
    AdamwScheduleFree(AdamwScheduleFreeConfig),
    /// Adam that finds its learning rate.
    DadaptAdam(DadaptAdamConfig),
    /// Lion that finds its learning rate.
    DadaptLion(DadaptLionConfig),
    /// Gradient descent that finds its learning rate.
    DadaptSgd(DadaptSgdConfig),
    /// Adam that finds its learning rate, faster.
    Prodigy(ProdigyConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adamw(AdamwConfig::default())
    }
}

impl OptimizerConfig {
    /// Every `kind` there is, as it is spelt in a config file.
    pub const KINDS: [&str; 11] = [
        "adamw",
        "adamw8bit",
        "lion",
        "lion8bit",
        "sgd",
        "adafactor",
        "adamw-schedule-free",
        "dadapt-adam",
        "dadapt-lion",
        "dadapt-sgd",
        "prodigy",
    ];

    /// The name that the field knows it by, such as `AdamW8bit`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Adamw(_) => "AdamW",
            Self::Adamw8bit(_) => "AdamW8bit",
            Self::Lion(_) => "Lion",
            Self::Lion8bit(_) => "Lion8bit",
            Self::Sgd(_) => "SGD",
            Self::Adafactor(_) => "Adafactor",
            Self::AdamwScheduleFree(_) => "AdamWScheduleFree",
            Self::DadaptAdam(_) => "DAdaptAdam",
            Self::DadaptLion(_) => "DAdaptLion",
            Self::DadaptSgd(_) => "DAdaptSGD",
            Self::Prodigy(_) => "Prodigy",
        }
    }

    /// Whether it finds its step size by itself, so that the learning rate is a factor on it and 1 is usual.
    pub fn finds_its_rate(&self) -> bool {
        match self {
            Self::DadaptAdam(_) | Self::DadaptLion(_) | Self::DadaptSgd(_) | Self::Prodigy(_) => {
                true
            }
            Self::Adafactor(config) => config.relative_step,
            Self::Adamw(_)
            | Self::Adamw8bit(_)
            | Self::Lion(_)
            | Self::Lion8bit(_)
            | Self::Sgd(_)
            | Self::AdamwScheduleFree(_) => false,
        }
    }

    /// Whether the rule looks at each element by itself, beside sums over a whole rate group, so that matrices can be
    /// [joined](crate::Joined).
    pub fn joins(&self) -> bool {
        match self {
            Self::Adamw(_)
            | Self::Lion(_)
            | Self::Sgd(_)
            | Self::AdamwScheduleFree(_)
            | Self::DadaptAdam(_)
            | Self::DadaptLion(_)
            | Self::DadaptSgd(_)
            | Self::Prodigy(_) => true,
            // Blocks and rows are those of a matrix.
            Self::Adamw8bit(_) | Self::Lion8bit(_) | Self::Adafactor(_) => false,
        }
    }

    /// A fresh optimiser that [joins](crate::Joined) the matrices, where the rule [can](Self::joins): for devices that are told of
    /// every operation.
    ///
    /// # Errors
    /// As [`Self::build`].
    pub fn build_joined(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let rule = self.build()?;
        if self.joins() {
            Ok(Box::new(Joined::new(rule)))
        } else {
            Ok(rule)
        }
    }

    /// A fresh optimiser.
    ///
    /// # Errors
    /// All settings that are out of range.
    pub fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        match self {
            Self::Adamw(config) => config.build(),
            Self::Adamw8bit(config) => config.build(),
            Self::Lion(config) => config.build(),
            Self::Lion8bit(config) => config.build(),
            Self::Sgd(config) => config.build(),
            Self::Adafactor(config) => config.build(),
            Self::AdamwScheduleFree(config) => config.build(),
            Self::DadaptAdam(config) => config.build(),
            Self::DadaptLion(config) => config.build(),
            Self::DadaptSgd(config) => config.build(),
            Self::Prodigy(config) => config.build(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<OptimizerConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn every_kind_is_named_by_its_tag_alone() {
        for kind in OptimizerConfig::KINDS {
            let config = parse(&format!("kind = '{kind}'")).expect("a kind with default settings");
            let written = toml::to_string(&config).expect("plain values");
            assert!(
                written.starts_with(&format!("kind = \"{kind}\"")),
                "{written}"
            );
            assert!(config.build().is_ok());
        }
    }

    #[test]
    fn a_setting_of_another_kind_is_an_error() {
        assert!(parse("kind = 'adamw'\nmomentum = 0.9").is_err());
        assert!(parse("kind = 'adam'").is_err());
    }

    #[test]
    fn all_settings_out_of_range_are_named_at_once() {
        for (text, expected) in [
            (
                "kind = 'adamw'\nbetas = [1.0, 0.9]\neps = -1.0\nweight_decay = nan",
                &["betas", "eps", "weight_decay"][..],
            ),
            (
                "kind = 'adamw8bit'\nbetas = [0.9, 1.5]\neps = inf\nweight_decay = -1.0",
                &["betas", "eps", "weight_decay"],
            ),
            ("kind = 'lion'\nbetas = [-0.1, 1.0]", &["betas", "betas"]),
            ("kind = 'lion8bit'\nweight_decay = -1.0", &["weight_decay"]),
            (
                "kind = 'sgd'\nmomentum = 1.0\nweight_decay = inf",
                &["momentum", "weight_decay"],
            ),
            (
                "kind = 'dadapt-adam'\neps = 0.0\nd0 = 0.0\ngrowth_rate = 1.0",
                &["eps", "d0", "growth_rate"],
            ),
            (
                "kind = 'dadapt-lion'\nbetas = [0.9, 1.0]\nd0 = -1.0",
                &["betas", "d0"],
            ),
            (
                "kind = 'dadapt-sgd'\nmomentum = 1.0\nd0 = nan\ngrowth_rate = inf",
                &["momentum", "d0", "growth_rate"],
            ),
            (
                "kind = 'prodigy'\nbeta3 = 1.0\neps = 0.0\nd0 = 0.0\nd_coef = 0.0\ngrowth_rate = 0.5",
                &["beta3", "eps", "d0", "d_coef", "growth_rate"],
            ),
            (
                "kind = 'adafactor'\neps = [0.0, 0.0]\nclip_threshold = 0.0\ndecay_rate = 0.8\nwarmup_init = true",
                &["eps", "eps", "clip_threshold", "decay_rate", "warmup_init"],
            ),
            (
                "kind = 'adamw-schedule-free'\nbetas = [0.0, 1.0]\nr = -1.0\nweight_lr_power = nan",
                &["betas", "betas", "r", "weight_lr_power"],
            ),
        ] {
            let config = parse(text).expect("well formed");
            let problems = config.build().err().expect("problems");
            let named: Vec<_> = problems.iter().map(|problem| problem.setting).collect();
            assert_eq!(named, expected, "{text}");
        }
    }
}
