use std::num::NonZeroUsize;

use lora_core::ActivationCheckpointing;
use serde::{Deserialize, Serialize};

use crate::DeviceChoice;

/// How long, how fast and on which device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LoopConfig {
    /// Passes over the repeated pictures.
    pub epochs: u64,
    /// Stop after so many steps, in the middle of an epoch if need be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_steps: Option<u64>,
    /// Pictures of one batch; the loss is their mean.
    pub batch_size: NonZeroUsize,
    /// Batches of one step: their gradients are averaged.
    pub accumulation: NonZeroUsize,
    /// Learning rate of the UNet.
    pub unet_lr: f64,
    /// Learning rate of the text encoder, or of both; about a tenth of the UNet's.
    pub text_lr: f64,
    /// Learning rate of SDXL's second text encoder, where it is not `text_lr`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_lr_2: Option<f64>,
    /// LoRA+: the rate of up matrices over that of down matrices; unset means 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loraplus_lr_ratio: Option<f64>,
    /// The same for the UNet alone, before `loraplus_lr_ratio`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loraplus_unet_lr_ratio: Option<f64>,
    /// The same for the text encoders alone, before `loraplus_lr_ratio`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loraplus_text_lr_ratio: Option<f64>,
    /// Limit of the gradient's norm over all matrices; 0 means none.
    pub max_grad_norm: f64,
    /// Steps in a row whose loss or gradient may be no number before the run ends; such a step moves nothing. 0 means that
    /// nobody looks before a step is taken, which saves waiting for the device, and the first one found at a report ends
    /// the run.
    pub max_bad_steps: u64,
    /// What of a forward pass is computed a second time instead of being kept: `none`, each `block` of the UNet, or, with least
    /// memory and three passes, the layers within as well (`aggressive`). The result is the same.
    pub gradient_checkpointing: ActivationCheckpointing,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether latents are drawn from the VAE's distribution at each showing, or are its middle.
    pub latents: LatentDraw,
    /// Steps between two reports; the device is waited for only then.
    pub log_every: NonZeroUsize,
    /// `auto`, `cpu`, `wgpu[:n]`, `vulkan[:n]` or `cuda[:n]`.
    pub device: DeviceChoice,
    /// More devices, each with the whole model, that share the batches of a step: at most as many as `accumulation` has beyond
    /// the first. The result is that of one device but for rounding.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub more_devices: Vec<DeviceChoice>,
}

/// How latents come from the VAE's distribution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatentDraw {
    /// A fresh draw at each showing.
    #[default]
    Sample,
    /// The mean, always.
    Mode,
}

impl LoopConfig {
    /// Learning rate of the second text encoder.
    pub(crate) fn second_text_lr(&self) -> f64 {
        self.text_lr_2.unwrap_or(self.text_lr)
    }

    /// The rate of up matrices over that of down matrices, in the text encoders or in the UNet.
    pub(crate) fn up_ratio(&self, text: bool) -> f64 {
        let own = if text {
            self.loraplus_text_lr_ratio
        } else {
            self.loraplus_unet_lr_ratio
        };
        own.or(self.loraplus_lr_ratio).unwrap_or(1.0)
    }
}

impl Default for LoopConfig {
    fn default() -> Self {
        const fn count(value: usize) -> NonZeroUsize {
            NonZeroUsize::new(value).expect("not zero")
        }
        Self {
            epochs: 10,
            max_steps: None,
            batch_size: const { count(1) },
            accumulation: const { count(1) },
            unet_lr: 1e-4,
            text_lr: 1e-5,
            text_lr_2: None,
            loraplus_lr_ratio: None,
            loraplus_unet_lr_ratio: None,
            loraplus_text_lr_ratio: None,
            max_grad_norm: 1.0,
            max_bad_steps: 3,
            gradient_checkpointing: ActivationCheckpointing::None,
            seed: 42,
            latents: LatentDraw::Sample,
            log_every: const { count(10) },
            device: DeviceChoice::Auto,
            more_devices: Vec::new(),
        }
    }
}
