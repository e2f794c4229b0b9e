use lora_core::{ModelConfigs, weights::Component};
use serde::Serialize;

/// Numbers in the networks of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Parameters {
    /// Text encoders, both of SDXL's together.
    pub text_encoders: usize,
    /// The denoising network.
    pub unet: usize,
    /// The autoencoder.
    pub vae: usize,
}

impl Parameters {
    /// Counts them without making any.
    pub fn of(configs: &ModelConfigs) -> Self {
        let count = |component| configs.parameters(component);
        Self {
            text_encoders: count(Component::TextEncoder) + count(Component::TextEncoder2),
            unet: count(Component::UNet),
            vae: count(Component::Vae),
        }
    }

    /// All of them.
    pub fn sum(self) -> usize {
        self.text_encoders + self.unet + self.vae
    }
}
