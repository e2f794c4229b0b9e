use std::ops::RangeInclusive;

use serde::Deserialize;

use crate::{
    activation::Activation,
    resnet::ResnetConfig,
    size_limits::{LAYERS_PER_BLOCK, WIDTH, outside, unfit_levels},
};

/// Red, green and blue: what pictures are read into and written from.
const COLOURS: RangeInclusive<usize> = 3..=3;

/// The fields of diffusers' `AutoencoderKL` config that shape the computation, with diffusers' defaults.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct VaeConfig {
    /// Channels of a picture.
    pub in_channels: usize,
    /// Channels of a decoded picture.
    pub out_channels: usize,
    /// Channels of the latents.
    pub latent_channels: usize,
    /// Channels of each level, finest first.
    pub block_out_channels: Vec<usize>,
    /// Resnets of each encoder level; the decoder has one more.
    pub layers_per_block: usize,
    /// Groups of every group norm.
    pub norm_num_groups: usize,
    /// Activation of the resnets.
    pub act_fn: Activation,
    /// What latents are multiplied by before the UNet sees them.
    pub scaling_factor: f64,
    /// What is taken from latents before they are multiplied: refused.
    pub shift_factor: Option<f64>,
    /// Mean of each channel of the latents, which is taken from them: refused.
    pub latents_mean: Option<Vec<f64>>,
    /// Deviation of each channel of the latents, by which they are divided: refused.
    pub latents_std: Option<Vec<f64>>,
    /// Whether a 1×1 convolution follows the encoder.
    pub use_quant_conv: bool,
    /// Whether a 1×1 convolution precedes the decoder.
    pub use_post_quant_conv: bool,
    /// Whether the middle blocks attend.
    pub mid_block_add_attention: bool,
}

impl Default for VaeConfig {
    fn default() -> Self {
        Self {
            in_channels: 3,
            out_channels: 3,
            latent_channels: 4,
            block_out_channels: vec![64],
            layers_per_block: 1,
            norm_num_groups: 32,
            act_fn: Activation::Silu,
            scaling_factor: 0.18215,
            shift_factor: None,
            latents_mean: None,
            latents_std: None,
            use_quant_conv: true,
            use_post_quant_conv: true,
            mid_block_add_attention: true,
        }
    }
}

impl VaeConfig {
    /// The first field whose value asks for something that [`super::Vae`] cannot do, with that value.
    pub fn unsupported(&self) -> Option<(&'static str, String)> {
        let needed = [
            ("use_quant_conv", self.use_quant_conv),
            ("use_post_quant_conv", self.use_post_quant_conv),
            ("mid_block_add_attention", self.mid_block_add_attention),
        ];
        let refused = needed.into_iter().find(|(_, value)| !value);
        let listed = |values: &Vec<f64>| format!("{values:?}");
        let shifts = [
            (
                "shift_factor",
                self.shift_factor.map(|shift| shift.to_string()),
            ),
            ("latents_mean", self.latents_mean.as_ref().map(listed)),
            ("latents_std", self.latents_std.as_ref().map(listed)),
        ];
        refused
            .map(|(field, value)| (field, value.to_string()))
            .or_else(|| {
                shifts
                    .into_iter()
                    .find_map(|(field, value)| Some((field, value?)))
            })
            .or_else(|| unfit_levels(&self.block_out_channels, self.norm_num_groups))
            .or_else(|| {
                outside([
                    ("layers_per_block", self.layers_per_block, LAYERS_PER_BLOCK),
                    ("latent_channels", self.latent_channels, WIDTH),
                    ("in_channels", self.in_channels, COLOURS),
                    ("out_channels", self.out_channels, COLOURS),
                ])
            })
            .or_else(|| {
                let factor = self.scaling_factor;
                let is_fit = factor.is_normal() && factor > 0.0;
                (!is_fit).then(|| ("scaling_factor", factor.to_string()))
            })
    }

    /// Pixels of one latent along each side: every level but the coarsest halves the picture.
    pub fn reduction(&self) -> usize {
        1 << (self.block_out_channels.len() - 1)
    }

    pub(super) fn resnets(&self) -> ResnetConfig {
        ResnetConfig {
            groups: self.norm_num_groups,
            epsilon: EPSILON,
            time: None,
            activation: self.act_fn,
        }
    }
}

/// Epsilon of every group norm; diffusers fixes it.
pub(super) const EPSILON: f64 = 1e-6;
