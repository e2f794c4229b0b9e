use std::fmt;

use serde::Deserialize;

use crate::{Family, activation::Activation};

/// The fields of diffusers' `UNet2DConditionModel` config that shape the computation, with diffusers' defaults.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct UNetConfig {
    /// Side of the latents it was trained on; 64 is 512 pixels under Stable Diffusion's VAE.
    pub sample_size: usize,
    /// Channels of the latents.
    pub in_channels: usize,
    /// Channels of the prediction.
    pub out_channels: usize,
    /// Channels of each level.
    pub block_out_channels: Vec<usize>,
    /// `CrossAttnDownBlock2D` or `DownBlock2D` for each level, finest first.
    pub down_block_types: Vec<String>,
    /// `CrossAttnUpBlock2D` or `UpBlock2D` for each level, coarsest first.
    pub up_block_types: Vec<String>,
    /// `UNetMidBlock2DCrossAttn`.
    pub mid_block_type: String,
    /// Resnets of each down block; an up block has one more.
    pub layers_per_block: usize,
    /// In spite of its name, the NUMBER of heads when `num_attention_heads` is absent (a slip that diffusers keeps).
    pub attention_head_dim: OneOrEach,
    /// Attention heads, where a config names them rightly.
    pub num_attention_heads: Option<OneOrEach>,
    /// Width of the text states.
    pub cross_attention_dim: usize,
    /// Transformer blocks of each attention module.
    pub transformer_layers_per_block: OneOrEach,
    /// Whether `proj_in` and `proj_out` are linear layers (SD2) or 1×1 convolutions (SD1).
    pub use_linear_projection: bool,
    /// Groups of every group norm.
    pub norm_num_groups: usize,
    /// Epsilon of the resnets' group norms.
    pub norm_eps: f64,
    /// Activation of the resnets.
    pub act_fn: Activation,
    /// Whether the timestep embedding puts the cosines first.
    pub flip_sin_to_cos: bool,
    /// Shift of the timestep embedding's frequencies.
    pub freq_shift: f64,
    /// `text_time` for SDXL; absent otherwise.
    pub addition_embed_type: Option<String>,
    /// Channels that each of SDXL's size numbers is embedded in.
    pub addition_time_embed_dim: Option<usize>,
    /// Width of SDXL's pooled text and embedded sizes together.
    pub projection_class_embeddings_input_dim: Option<usize>,
    /// Class conditioning; absent in Stable Diffusion.
    pub class_embed_type: Option<String>,
    /// Whether each block attends to the text alone.
    pub only_cross_attention: bool,
    /// `default`, or `scale_shift`.
    pub resnet_time_scale_shift: String,
}

impl Default for UNetConfig {
    fn default() -> Self {
        let repeat = |first: &str, then: &str| {
            std::iter::once(first)
                .chain([then; 3])
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let down = repeat("DownBlock2D", "CrossAttnDownBlock2D")
            .into_iter()
            .rev()
            .collect();
        Self {
            sample_size: 64,
            in_channels: 4,
            out_channels: 4,
            block_out_channels: vec![320, 640, 1280, 1280],
            down_block_types: down,
            up_block_types: repeat("UpBlock2D", "CrossAttnUpBlock2D"),
            mid_block_type: "UNetMidBlock2DCrossAttn".to_owned(),
            layers_per_block: 2,
            attention_head_dim: OneOrEach::One(8),
            num_attention_heads: None,
            cross_attention_dim: 1280,
            transformer_layers_per_block: OneOrEach::One(1),
            use_linear_projection: false,
            norm_num_groups: 32,
            norm_eps: 1e-5,
            act_fn: Activation::Silu,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            addition_embed_type: None,
            addition_time_embed_dim: None,
            projection_class_embeddings_input_dim: None,
            class_embed_type: None,
            only_cross_attention: false,
            resnet_time_scale_shift: "default".to_owned(),
        }
    }
}

impl UNetConfig {
    /// The family that a network of this shape belongs to.
    pub fn family(&self) -> Family {
        if self.addition_embed_type.is_some() {
            Family::Sdxl
        } else if self.use_linear_projection {
            Family::Sd2
        } else {
            Family::Sd1
        }
    }

    /// Attention heads of each level.
    pub(super) fn heads(&self) -> &OneOrEach {
        self.num_attention_heads
            .as_ref()
            .unwrap_or(&self.attention_head_dim)
    }

    /// The field that [`Self::heads`] are taken from.
    pub(super) fn heads_field(&self) -> &'static str {
        match self.num_attention_heads {
            Some(_) => "num_attention_heads",
            None => "attention_head_dim",
        }
    }
}

/// One value for all levels, or one for each.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OneOrEach {
    /// The same everywhere.
    One(usize),
    /// One for each level, finest first.
    Each(Vec<usize>),
}

impl fmt::Display for OneOrEach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(value) => write!(f, "{value}"),
            Self::Each(values) => write!(f, "{values:?}"),
        }
    }
}

impl OneOrEach {
    /// The value of `level`, counted from the finest.
    pub(super) fn at(&self, level: usize) -> usize {
        match self {
            Self::One(value) => *value,
            Self::Each(values) => values[level],
        }
    }
}
