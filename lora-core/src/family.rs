use std::fmt;

use serde::{Deserialize, Serialize};

/// A family of base models that share an architecture.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Stable Diffusion 1.x: CLIP ViT-L/14, trained at 512 pixels.
    #[default]
    Sd1,
    /// Stable Diffusion 2.0 and 2.1: OpenCLIP ViT-H/14, linear projections.
    Sd2,
    /// SDXL base: CLIP ViT-L/14 and OpenCLIP ViT-bigG/14, size and crop conditioning.
    Sdxl,
}

impl Family {
    /// All of them, the oldest first.
    pub const ALL: [Self; 3] = [Self::Sd1, Self::Sd2, Self::Sdxl];

    /// What kohya's files call the text encoders' adapters, in the order of the encoders.
    pub fn text_prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Sd1 | Self::Sd2 => &["lora_te"],
            Self::Sdxl => &["lora_te1", "lora_te2"],
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sd1 => "SD 1.x",
            Self::Sd2 => "SD 2.x",
            Self::Sdxl => "SDXL",
        })
    }
}
