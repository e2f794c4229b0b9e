//! Alphas that every program understands.

use std::collections::BTreeMap;

use burn::tensor::TensorData;

use super::key::module_name;
use super::{LoraFile, LoraModule, split_scale};
use crate::weights::Component;

impl LoraFile {
    /// The same LoRA with other alphas, whose changes the factors take up: in the UNet each module's alpha is its rank, in
    /// a text encoder all are its highest rank.
    ///
    /// All programs apply such a file alike. Others diffusers (0.32 at least) applies at strengths of its own: where the
    /// UNet's ranks differ it passes over all alphas and takes the ranks instead, and where a text encoder's alphas differ
    /// it takes the most frequent one.
    pub fn with_portable_alphas(mut self) -> Self {
        let mut highest = BTreeMap::<Component, usize>::new();
        for (name, module) in &self.modules {
            if let Some(name) = module_name(name) {
                let highest = highest.entry(name.component()).or_default();
                *highest = module.rank().max(*highest);
            }
        }
        for (name, module) in &mut self.modules {
            let alpha = match module_name(name).map(|name| name.component()) {
                Some(Component::UNet) | None => module.rank(),
                Some(text_encoder) => highest[&text_encoder],
            };
            module.set_alpha(alpha as f32);
        }
        self
    }
}

impl LoraModule {
    /// Changes alpha, and the factors so that the correction stays.
    fn set_alpha(&mut self, alpha: f32) {
        let ratio = self.alpha / alpha;
        if ratio.to_bits() == 1f32.to_bits() {
            return;
        }
        let (down, up) = split_scale(ratio);
        self.down = scaled(&self.down, down);
        self.up = scaled(&self.up, up);
        self.alpha = alpha;
    }
}

fn scaled(data: &TensorData, scale: f32) -> TensorData {
    let values: Vec<f32> = data.iter::<f32>().map(|value| value * scale).collect();
    TensorData::new(values, data.shape().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(rank: usize, alpha: f32) -> LoraModule {
        LoraModule {
            down: TensorData::new(vec![3f32; rank], [rank, 1]),
            up: TensorData::new(vec![5f32; rank], [1, rank]),
            alpha,
        }
    }

    #[test]
    fn corrections_stay() {
        let text = "lora_te_text_model_encoder_layers_0_self_attn";
        let modules = [
            (format!("{text}_q_proj"), module(2, 1.0)),
            (format!("{text}_k_proj"), module(4, 4.0)),
            (
                "lora_unet_mid_block_resnets_0_conv1".to_owned(),
                module(2, 0.5),
            ),
            (
                "lora_unet_mid_block_resnets_1_conv1".to_owned(),
                module(8, -3.0),
            ),
            (
                "lora_unet_mid_block_resnets_1_conv2".to_owned(),
                module(8, 8.0),
            ),
        ];
        let file = LoraFile {
            modules: modules.into(),
            ..LoraFile::default()
        };
        let portable = file.clone().with_portable_alphas();
        let alphas: Vec<f32> = portable
            .modules
            .values()
            .map(|module| module.alpha)
            .collect();
        assert_eq!(alphas, [4.0, 4.0, 2.0, 8.0, 8.0]);
        for (name, module) in &portable.modules {
            let correction = |module: &LoraModule| {
                let (down, up): (Vec<f32>, Vec<f32>) =
                    (module.down.iter().collect(), module.up.iter().collect());
                module.alpha * up[0] * down[0]
            };
            assert!(
                (correction(module) - correction(&file.modules[name])).abs() < 1e-5,
                "{name}"
            );
        }
        let same = "lora_unet_mid_block_resnets_1_conv2";
        assert_eq!(portable.modules[same], file.modules[same]);
    }
}
