use burn::tensor::Tensor;

use super::{UNetConfig, transformer_block::TransformerBlock};
use crate::{
    adapter::Site,
    layer::{Conv2d, GroupNorm, Linear},
    weights::Weights,
};

/// Epsilon of the group norm before a transformer; diffusers fixes it apart from `norm_eps`.
const EPSILON: f64 = 1e-6;

/// Attention of a feature map to itself and to the text (diffusers' `Transformer2DModel`).
#[derive(Clone, Debug)]
pub(super) struct Transformer {
    norm: GroupNorm,
    proj_in: Projection,
    blocks: Vec<TransformerBlock>,
    proj_out: Projection,
}

/// The map into and out of the token space.
#[derive(Clone, Debug)]
enum Projection {
    /// SD1: a 1×1 convolution of the feature map.
    Pointwise(Conv2d),
    /// SD2 and SDXL: a linear layer over the tokens.
    Linear(Linear),
}

impl Transformer {
    /// `level` counts resolutions from the finest.
    pub(super) fn new(
        config: &UNetConfig,
        weights: &Weights<'_>,
        level: usize,
        channels: usize,
    ) -> Self {
        let projection = |name: &str| {
            let weights = weights.at(name);
            if config.use_linear_projection {
                Projection::Linear(Linear::new(&weights, channels, channels))
            } else {
                Projection::Pointwise(Conv2d::new(&weights, channels, channels, 1))
            }
        };
        let heads = config.heads().at(level);
        let blocks = weights.at("transformer_blocks");
        Self {
            norm: GroupNorm::new(
                &weights.at("norm"),
                config.norm_num_groups,
                channels,
                EPSILON,
            ),
            proj_in: projection("proj_in"),
            blocks: (0..config.transformer_layers_per_block.at(level))
                .map(|index| {
                    TransformerBlock::new(
                        &blocks.at(index),
                        channels,
                        heads,
                        config.cross_attention_dim,
                    )
                })
                .collect(),
            proj_out: projection("proj_out"),
        }
    }

    /// `[batch, channels, height, width]` to the same; `text` is `[batch, tokens, cross_attention_dim]`. Layers that are
    /// computed `again` keep only their inputs for the backward pass.
    pub(super) fn forward(&self, x: Tensor<4>, text: Tensor<3>, again: bool) -> Tensor<4> {
        let shape = x.dims();
        let normal = self.norm.forward(x.clone());
        let tokens = match &self.proj_in {
            Projection::Pointwise(conv) => to_tokens(conv.forward(normal)),
            Projection::Linear(linear) => linear.forward(to_tokens(normal)),
        };
        let tokens = self.blocks.iter().fold(tokens, |tokens, block| {
            if again {
                block.forward_again(tokens, text.clone())
            } else {
                block.forward(tokens, text.clone())
            }
        });
        let out = match &self.proj_out {
            Projection::Pointwise(conv) => conv.forward(to_map(tokens, shape)),
            Projection::Linear(linear) => to_map(linear.forward(tokens), shape),
        };
        x + out
    }

    pub(super) fn sites(&mut self, visit: &mut dyn FnMut(Site<'_>)) {
        visit(self.proj_in.site());
        for block in &mut self.blocks {
            block.sites(visit);
        }
        visit(self.proj_out.site());
    }
}

impl Projection {
    fn site(&mut self) -> Site<'_> {
        match self {
            Self::Pointwise(conv) => conv.site(),
            Self::Linear(linear) => linear.site(),
        }
    }
}

fn to_tokens(x: Tensor<4>) -> Tensor<3> {
    let [batch, channels, height, width] = x.dims();
    x.reshape([batch, channels, height * width]).swap_dims(1, 2)
}

fn to_map(tokens: Tensor<3>, shape: [usize; 4]) -> Tensor<4> {
    tokens.swap_dims(1, 2).reshape(shape)
}
