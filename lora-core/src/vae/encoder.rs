use burn::tensor::Tensor;

use super::{VaeConfig, config::EPSILON, middle::Middle};
use crate::{
    activation::Activation,
    layer::{Conv2d, GroupNorm},
    resample::Downsample,
    resnet::Resnet,
    weights::Weights,
};

/// Pictures to the moments of their latents.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    conv_in: Conv2d,
    levels: Vec<(Vec<Resnet>, Option<Downsample>)>,
    middle: Middle,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
    activation: Activation,
}

impl Encoder {
    pub(super) fn new(config: &VaeConfig, weights: &Weights<'_>) -> Self {
        let widths = &config.block_out_channels;
        let mut channels = widths[0];
        let conv_in = Conv2d::new(&weights.at("conv_in"), config.in_channels, channels, 3);
        let mut levels = Vec::with_capacity(widths.len());
        for (level, &outputs) in widths.iter().enumerate() {
            let stage = weights.at("down_blocks").at(level);
            let mut resnets = Vec::with_capacity(config.layers_per_block);
            for index in 0..config.layers_per_block {
                let weights = stage.at("resnets").at(index);
                resnets.push(Resnet::new(config.resnets(), &weights, channels, outputs));
                channels = outputs;
            }
            let downsample = (level + 1 < widths.len())
                .then(|| Downsample::asymmetric(&stage.at("downsamplers").at(0), channels));
            levels.push((resnets, downsample));
        }
        let groups = config.norm_num_groups;
        Self {
            conv_in,
            levels,
            middle: Middle::new(config, &weights.at("mid_block"), channels),
            conv_norm_out: GroupNorm::new(&weights.at("conv_norm_out"), groups, channels, EPSILON),
            conv_out: Conv2d::new(
                &weights.at("conv_out"),
                channels,
                2 * config.latent_channels,
                3,
            ),
            activation: config.act_fn,
        }
    }

    /// `[batch, 3, height, width]` to `[batch, 2 · latent_channels, height / reduction, width / reduction]`.
    pub(super) fn forward(&self, pictures: Tensor<4>) -> Tensor<4> {
        let mut hidden = self.conv_in.forward(pictures);
        for (resnets, downsample) in &self.levels {
            for resnet in resnets {
                hidden = resnet.forward(hidden, None);
            }
            if let Some(downsample) = downsample {
                hidden = downsample.forward(hidden);
            }
        }
        let hidden = self.conv_norm_out.forward(self.middle.forward(hidden));
        self.conv_out.forward(self.activation.forward(hidden))
    }
}
