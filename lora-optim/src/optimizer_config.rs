//! The optimiser as a config file names it.

use serde::{Deserialize, Serialize};

use crate::{BurnOptimizer, Optimizer, SettingError, setting};

/// The optimisers that a config file can name with `kind`; code may pass any [`Optimizer`] instead.
///
/// A new one is a variant here, its settings below, and a row of `tests/golden/conformance.rs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum OptimizerConfig {
    /// Adam with decoupled weight decay.
    Adamw(AdamwConfig),
}

impl Default for OptimizerConfig {
    fn default() -> Self {
        Self::Adamw(AdamwConfig::default())
    }
}

impl OptimizerConfig {
    /// Every `kind` there is, as it is spelt in a config file.
    pub const KINDS: [&str; 1] = ["adamw"];

    /// A fresh optimiser.
    ///
    /// # Errors
    /// All settings that are out of range.
    pub fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        match self {
            Self::Adamw(config) => config.build(),
        }
    }
}

/// AdamW with PyTorch's defaults (`torch.optim.AdamW`; Loshchilov and Hutter, arXiv:1711.05101).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamwConfig {
    /// Decay of the running means of the gradient and of its square.
    pub betas: [f64; 2],
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Part of the matrix, times the learning rate, that each step takes away.
    pub weight_decay: f64,
}

impl Default for AdamwConfig {
    fn default() -> Self {
        Self {
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 1e-2,
        }
    }
}

impl AdamwConfig {
    fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            beta_problems(self.betas),
            not_negative("eps", self.eps),
            not_negative("weight_decay", self.weight_decay),
        ];
        setting::build(problems.concat(), || -> Box<dyn Optimizer> {
            let config = burn::optim::AdamWConfig::new()
                .with_beta_1(self.betas[0] as f32)
                .with_beta_2(self.betas[1] as f32)
                .with_epsilon(self.eps as f32)
                .with_weight_decay(self.weight_decay as f32);
            Box::new(BurnOptimizer::new(config.build()))
        })
    }
}

fn beta_problems(betas: [f64; 2]) -> Vec<SettingError> {
    let problem = |beta: f64| {
        setting::require(
            (0.0..1.0).contains(&beta),
            "betas",
            "at least 0 and below 1",
            beta,
        )
    };
    betas.into_iter().filter_map(problem).collect()
}

fn not_negative(setting: &'static str, value: f64) -> Vec<SettingError> {
    let valid = value >= 0.0 && value.is_finite();
    setting::require(valid, setting, "0 or above", value)
        .into_iter()
        .collect()
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
        let config = parse("kind = 'adamw'\nbetas = [1.0, 0.9]\neps = -1.0\nweight_decay = nan")
            .expect("well formed");
        let problems = config.build().err().expect("three problems");
        let named: Vec<_> = problems.iter().map(|problem| problem.setting).collect();
        assert_eq!(named, ["betas", "eps", "weight_decay"]);
    }
}
