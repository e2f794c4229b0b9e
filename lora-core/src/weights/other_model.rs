use std::fmt;

/// Something that looks like a model and cannot be the base of a LoRA here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherModel {
    /// A UNet that takes more than latents: `in_channels` is not 4.
    Channels(usize),
    /// SDXL's refiner.
    Refiner,
    /// A diffusion model without a UNet of Stable Diffusion's kind, by name.
    Architecture(String),
    /// A LoRA.
    Lora,
    /// A textual inversion.
    Embedding,
    /// A ControlNet.
    ControlNet,
    /// A VAE without a UNet.
    Vae,
    /// Something without a VAE, where one is asked for.
    NoVae,
    /// A UNet without text encoders, in the original layout.
    UNet,
    /// One network of a diffusers folder.
    DiffusersNetwork,
    /// None of these.
    Unknown,
}

impl OtherModel {
    /// What it is.
    fn what(&self) -> String {
        match self {
            Self::Channels(5) => "a depth model (its UNet takes 5 channels)".to_owned(),
            Self::Channels(7) => "an upscaler (its UNet takes 7 channels)".to_owned(),
            Self::Channels(8) => "an instruct-pix2pix model (its UNet takes 8 channels)".to_owned(),
            Self::Channels(9) => "an inpainting model (its UNet takes 9 channels)".to_owned(),
            Self::Channels(channels) => format!("a model whose UNet takes {channels} channels"),
            Self::Refiner => "SDXL's refiner".to_owned(),
            Self::Architecture(name) => format!("a {name} model"),
            Self::Lora => "a LoRA".to_owned(),
            Self::Embedding => "a textual inversion".to_owned(),
            Self::ControlNet => "a ControlNet".to_owned(),
            Self::Vae => "a VAE alone".to_owned(),
            Self::NoVae => "no VAE".to_owned(),
            Self::UNet => "a UNet without its text encoders".to_owned(),
            Self::DiffusersNetwork => "one network of a diffusers model".to_owned(),
            Self::Unknown => "no Stable Diffusion checkpoint".to_owned(),
        }
    }

    /// What the user can do.
    fn advice(&self) -> &'static str {
        match self {
            Self::Channels(_) => {
                "take the text-to-image checkpoint it was made from: a LoRA of that can be used with both"
            }
            Self::Refiner => "take SDXL base: LoRAs are made for that",
            Self::Lora | Self::Embedding | Self::ControlNet => {
                "name the checkpoint it belongs to as the model"
            }
            Self::Vae => "name a whole checkpoint as the model, and this as its VAE",
            Self::NoVae => "name a VAE's folder or file, or a checkpoint that has one",
            Self::UNet => "take the checkpoint that has the UNet, the text encoders and the VAE",
            Self::DiffusersNetwork => "name the model's folder, which has model_index.json",
            Self::Architecture(_) | Self::Unknown => {
                "checkpoints of Stable Diffusion 1.x, 2.x and SDXL base can be used"
            }
        }
    }
}

impl fmt::Display for OtherModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.what(), self.advice())
    }
}
