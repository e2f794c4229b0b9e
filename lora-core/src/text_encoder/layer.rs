use burn::tensor::Tensor;

use super::TextEncoderConfig;
use crate::{
    activation::Activation,
    adapter::Site,
    attention::{Sight, attention},
    layer::{LayerNorm, Linear},
    weights::Weights,
};

/// One layer of the text encoder: causal self-attention, then an MLP, each behind a layer norm.
#[derive(Clone, Debug)]
pub(super) struct TextLayer {
    layer_norm1: LayerNorm,
    q_proj: Linear,
    k_proj: Linear,
    v_proj: Linear,
    out_proj: Linear,
    layer_norm2: LayerNorm,
    fc1: Linear,
    fc2: Linear,
    heads: usize,
    activation: Activation,
}

impl TextLayer {
    pub(super) fn new(config: &TextEncoderConfig, weights: &Weights<'_>) -> Self {
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let attention = weights.at("self_attn");
        let mlp = weights.at("mlp");
        let projection = |name: &str| Linear::new(&attention.at(name), hidden, hidden);
        let norm = |name: &str| LayerNorm::new(&weights.at(name), hidden, config.layer_norm_eps);
        Self {
            layer_norm1: norm("layer_norm1"),
            q_proj: projection("q_proj"),
            k_proj: projection("k_proj"),
            v_proj: projection("v_proj"),
            out_proj: projection("out_proj"),
            layer_norm2: norm("layer_norm2"),
            fc1: Linear::new(&mlp.at("fc1"), hidden, inner),
            fc2: Linear::new(&mlp.at("fc2"), inner, hidden),
            heads: config.num_attention_heads,
            activation: config.hidden_act,
        }
    }

    /// `[batch, tokens, hidden]` to the same; no token sees those behind it.
    pub(super) fn forward(&self, hidden: Tensor<3>) -> Tensor<3> {
        let normal = self.layer_norm1.forward(hidden.clone());
        let attended = attention(
            self.q_proj.forward(normal.clone()),
            self.k_proj.forward(normal.clone()),
            self.v_proj.forward(normal),
            self.heads,
            Sight::Backwards,
        );
        let hidden = hidden + self.out_proj.forward(attended);
        let normal = self.layer_norm2.forward(hidden.clone());
        hidden
            + self
                .fc2
                .forward(self.activation.forward(self.fc1.forward(normal)))
    }

    pub(super) fn sites(&mut self, visit: &mut dyn FnMut(Site<'_>)) {
        for linear in [
            &mut self.q_proj,
            &mut self.k_proj,
            &mut self.v_proj,
            &mut self.out_proj,
            &mut self.fc1,
            &mut self.fc2,
        ] {
            visit(linear.site());
        }
    }
}
