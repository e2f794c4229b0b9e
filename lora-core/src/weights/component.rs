use crate::Family;

/// A part of a Stable Diffusion model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Component {
    /// CLIP's text encoder.
    TextEncoder,
    /// SDXL's second text encoder.
    TextEncoder2,
    /// The denoising network.
    UNet,
    /// The autoencoder between pictures and latents.
    Vae,
    /// The noise schedule's settings; it has no tensors.
    Scheduler,
}

impl Component {
    /// Those that have tensors.
    pub(crate) const WITH_TENSORS: [Self; 4] =
        [Self::UNet, Self::Vae, Self::TextEncoder, Self::TextEncoder2];

    /// Its folder in a diffusers model.
    pub fn folder(self) -> &'static str {
        match self {
            Self::TextEncoder => "text_encoder",
            Self::TextEncoder2 => "text_encoder_2",
            Self::UNet => "unet",
            Self::Vae => "vae",
            Self::Scheduler => "scheduler",
        }
    }

    pub(super) fn config_file(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler_config.json",
            _ => "config.json",
        }
    }

    pub(super) fn weights_stem(self) -> &'static str {
        match self {
            Self::TextEncoder | Self::TextEncoder2 => "model",
            _ => "diffusion_pytorch_model",
        }
    }

    /// The published model's config as JSON, for single files, which carry none.
    ///
    /// Only SDXL has a second text encoder; for the others its config is SDXL's too.
    pub fn published_config(self, family: Family) -> &'static str {
        macro_rules! of_family {
            ($name:literal) => {
                match family {
                    Family::Sd1 => include_str!(concat!("../../assets/sd15/", $name)),
                    Family::Sd2 => include_str!(concat!("../../assets/sd21/", $name)),
                    Family::Sdxl => include_str!(concat!("../../assets/sdxl/", $name)),
                }
            };
        }
        match self {
            Self::TextEncoder => of_family!("text_encoder.json"),
            Self::TextEncoder2 => include_str!("../../assets/sdxl/text_encoder_2.json"),
            Self::UNet => of_family!("unet.json"),
            Self::Vae => of_family!("vae.json"),
            Self::Scheduler => of_family!("scheduler.json"),
        }
    }
}
