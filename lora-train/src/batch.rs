use burn::tensor::{Device, Tensor};
use lora_core::{BaseModel, TextStates, TokenIds, unet::Conditions};

use crate::NoiseDraws;

/// Everything that one forward pass needs, drawn and on the device.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Scaled latents, `[batch, channels, height, width]`.
    pub latents: Tensor<4>,
    /// Standard normal, of the latents' shape.
    pub noise: Tensor<4>,
    /// Standard normal, `[batch, channels, 1, 1]`; used only where the objective has a noise offset.
    pub noise_offset: Tensor<4>,
    /// What else is drawn for noise that is shaped.
    pub draws: NoiseDraws,
    /// One timestep for each item.
    pub timesteps: Vec<usize>,
    /// The captions.
    pub text: BatchText,
    /// For each item, in pixels: original height and width, top and left of the crop, target height and width. Only
    /// SDXL looks at them.
    pub sizes: Vec<[f32; 6]>,
    /// The factor of each item's loss; empty means 1.
    pub loss_weights: Vec<f32>,
    /// The weight of each latent's error, `[batch, 1, height, width]`; `None` means 1.
    pub mask: Option<Tensor<4>>,
}

/// The captions of a batch, before the text encoders or after them.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "tensors are handles, and there is one of these for each batch"
)]
pub enum BatchText {
    /// Token ids, encoded at every step: the text encoders are trained, or the captions change.
    Ids(TokenIds),
    /// States that were computed once.
    States(TextStates),
}

impl Batch {
    /// Number of items.
    pub fn len(&self) -> usize {
        self.timesteps.len()
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.timesteps.is_empty()
    }

    /// What the UNet is told beside latents and timesteps; `clip_skip` as in
    /// [`lora_core::TextConditioner::encode`].
    pub fn conditions(&self, model: &BaseModel, clip_skip: usize) -> Conditions {
        let text = match &self.text {
            BatchText::Ids(ids) => model.text.encode(ids, clip_skip),
            BatchText::States(states) => states.clone(),
        };
        Conditions::new(text, &self.sizes)
    }

    /// The same batch on another device.
    pub fn to_device(self, device: &Device) -> Self {
        Self {
            latents: self.latents.to_device(device),
            noise: self.noise.to_device(device),
            noise_offset: self.noise_offset.to_device(device),
            draws: self.draws.to_device(device),
            text: match self.text {
                BatchText::Ids(ids) => BatchText::Ids(ids),
                BatchText::States(states) => BatchText::States(TextStates {
                    states: states.states.to_device(device),
                    pooled: states.pooled.map(|pooled| pooled.to_device(device)),
                }),
            },
            mask: self.mask.map(|mask| mask.to_device(device)),
            ..self
        }
    }

    /// The device that the tensors are on.
    pub fn device(&self) -> Device {
        self.latents.device()
    }
}
