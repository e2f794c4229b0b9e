//! AdamW, which is burn's.

use serde::{Deserialize, Serialize};

use crate::{BurnOptimizer, Optimizer, SettingError, setting};

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
    pub(crate) fn build(&self) -> Result<Box<dyn Optimizer>, Vec<SettingError>> {
        let problems = [
            setting::betas(&self.betas),
            setting::not_negative("eps", self.eps),
            setting::not_negative("weight_decay", self.weight_decay),
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
