use burn::tensor::Tensor;

use super::{VaeConfig, config::EPSILON};
use crate::{
    attention::{Sight, attention},
    layer::{GroupNorm, Linear},
    resnet::Resnet,
    weights::Weights,
};

/// The coarsest stage of encoder and decoder: a resnet, self-attention, a resnet.
#[derive(Clone, Debug)]
pub(super) struct Middle {
    first: Resnet,
    attention: PixelAttention,
    second: Resnet,
}

impl Middle {
    pub(super) fn new(config: &VaeConfig, weights: &Weights<'_>, channels: usize) -> Self {
        let resnet = |index: usize| {
            Resnet::new(
                config.resnets(),
                &weights.at("resnets").at(index),
                channels,
                channels,
            )
        };
        Self {
            first: resnet(0),
            attention: PixelAttention::new(config, &weights.at("attentions").at(0), channels),
            second: resnet(1),
        }
    }

    /// `[batch, channels, height, width]` to the same.
    pub(super) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.first.forward(x, None);
        self.second.forward(self.attention.forward(x), None)
    }
}

/// Attention with one head over all pixels of a feature map.
#[derive(Clone, Debug)]
struct PixelAttention {
    group_norm: GroupNorm,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
}

impl PixelAttention {
    fn new(config: &VaeConfig, weights: &Weights<'_>, channels: usize) -> Self {
        let linear = |name: &str| Linear::new(&weights.at(name), channels, channels);
        let groups = config.norm_num_groups;
        Self {
            group_norm: GroupNorm::new(&weights.at("group_norm"), groups, channels, EPSILON),
            to_q: linear("to_q"),
            to_k: linear("to_k"),
            to_v: linear("to_v"),
            to_out: linear("to_out.0"),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let shape = x.dims();
        let [batch, channels, height, width] = shape;
        let normal = self.group_norm.forward(x.clone());
        let tokens = normal
            .reshape([batch, channels, height * width])
            .swap_dims(1, 2);
        let attended = attention(
            self.to_q.forward(tokens.clone()),
            self.to_k.forward(tokens.clone()),
            self.to_v.forward(tokens),
            1,
            Sight::Everything,
        );
        x + self.to_out.forward(attended).swap_dims(1, 2).reshape(shape)
    }
}
