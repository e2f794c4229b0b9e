use burn::tensor::Tensor;

use super::{VaeConfig, config::EPSILON, middle::Middle};
use crate::{
    activation::Activation,
    layer::{Conv2d, GroupNorm},
    resample::Upsample,
    resnet::Resnet,
    weights::Weights,
};

/// Latents to pictures.
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    conv_in: Conv2d,
    middle: Middle,
    levels: Vec<(Vec<Resnet>, Option<Upsample>)>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    activation: Activation,
}

impl Decoder {
    pub(super) fn new(config: &VaeConfig, weights: &Weights<'_>) -> Self {
        let widths = &config.block_out_channels;
        let coarsest = widths[widths.len() - 1];
        let mut channels = coarsest;
        let mut levels = Vec::with_capacity(widths.len());
        for (level, &outputs) in widths.iter().rev().enumerate() {
            let stage = weights.at("up_blocks").at(level);
            let mut resnets = Vec::with_capacity(config.layers_per_block + 1);
            for index in 0..=config.layers_per_block {
                let weights = stage.at("resnets").at(index);
                resnets.push(Resnet::new(config.resnets(), &weights, channels, outputs));
                channels = outputs;
            }
            let upsample = (level + 1 < widths.len())
                .then(|| Upsample::new(&stage.at("upsamplers").at(0), channels));
            levels.push((resnets, upsample));
        }
        let groups = config.norm_num_groups;
        Self {
            conv_in: Conv2d::new(&weights.at("conv_in"), config.latent_channels, coarsest, 3),
            middle: Middle::new(config, &weights.at("mid_block"), coarsest),
            levels,
            conv_norm_out: GroupNorm::new(&weights.at("conv_norm_out"), groups, channels, EPSILON),
            conv_out: Conv2d::new(&weights.at("conv_out"), channels, config.out_channels, 3),
            activation: config.act_fn,
        }
    }

    /// `[batch, latent_channels, height, width]` to `[batch, 3, height · reduction, width · reduction]`.
    pub(super) fn forward(&self, latents: Tensor<4>) -> Tensor<4> {
        let mut hidden = self.middle.forward(self.conv_in.forward(latents));
        for (resnets, upsample) in &self.levels {
            for resnet in resnets {
                hidden = resnet.forward(hidden, None);
            }
            if let Some(upsample) = upsample {
                let [_, _, height, width] = hidden.dims();
                hidden = upsample.forward(hidden, [2 * height, 2 * width]);
            }
        }
        let hidden = self.conv_norm_out.forward(hidden);
        self.conv_out.forward(self.activation.forward(hidden))
    }
}
