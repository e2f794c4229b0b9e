//! CLIP's text encoder (Radford et al. 2021), as transformers' `CLIPTextModel` computes it.

mod config;
mod layer;

use burn::tensor::{Device, Int, Tensor, TensorData, module};

pub use config::TextEncoderConfig;
use layer::TextLayer;

use crate::{
    adapter::{Site, Sites, Target},
    layer::LayerNorm,
    weights::Weights,
};

/// Tokens of one chunk: a start token, 75 tokens of text, an end token.
const CHUNK: usize = 77;

/// Turns token ids into the states that the UNet's cross-attention looks at.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    /// `[vocabulary, hidden]`.
    token_embedding: Tensor<2>,
    /// `[77, hidden]`.
    position_embedding: Tensor<2>,
    layers: Vec<TextLayer>,
    final_layer_norm: LayerNorm,
    /// `[77, 77]`, added to attention scores: 0 on and below the diagonal, the lowest f32 above.
    causal_mask: Tensor<2>,
}

impl TextEncoder {
    /// Takes all tensors below `text_model` from `weights`.
    pub fn new(config: &TextEncoderConfig, weights: &Weights<'_>) -> Self {
        let model = weights.at("text_model");
        let embeddings = model.at("embeddings");
        let encoder = model.at("encoder").at("layers");
        Self {
            token_embedding: embeddings
                .at("token_embedding")
                .tensor("weight", [config.vocab_size, config.hidden_size]),
            position_embedding: embeddings.at("position_embedding").tensor(
                "weight",
                [config.max_position_embeddings, config.hidden_size],
            ),
            layers: (0..config.num_hidden_layers)
                .map(|index| TextLayer::new(config, &encoder.at(index)))
                .collect(),
            final_layer_norm: LayerNorm::new(
                &model.at("final_layer_norm"),
                config.hidden_size,
                config.layer_norm_eps,
            ),
            causal_mask: causal_mask(config.max_position_embeddings, weights.device()),
        }
    }

    /// Token ids `[batch, 77]` to states `[batch, 77, hidden]`.
    ///
    /// `clip_skip` n uses the n-th last hidden layer, then the final layer norm, as kohya does for SD1; 1 is the last.
    pub fn forward(&self, ids: Tensor<2, Int>, clip_skip: usize) -> Tensor<3> {
        let [_, tokens] = ids.dims();
        let positions = self
            .position_embedding
            .clone()
            .narrow(0, 0, tokens)
            .unsqueeze();
        let mask = self.causal_mask.clone().slice([0..tokens, 0..tokens]);
        let depth = self
            .layers
            .len()
            .saturating_sub(clip_skip.saturating_sub(1));
        let embedded = module::embedding(self.token_embedding.clone(), ids) + positions;
        let hidden = self.layers[..depth].iter().fold(embedded, |hidden, layer| {
            layer.forward(hidden, mask.clone())
        });
        self.final_layer_norm.forward(hidden)
    }

    /// Ids of several chunks per prompt, `[batch, chunks, 77]`, to states `[batch, chunks · 75 + 2, hidden]`.
    ///
    /// Each chunk is encoded on its own; the start state of the first chunk, the 75 inner states of each and the end
    /// state of the last are joined, as kohya does for 150 and 225 tokens.
    pub fn forward_chunks(&self, ids: Tensor<3, Int>, clip_skip: usize) -> Tensor<3> {
        let [batch, chunks, tokens] = ids.dims();
        let states = self.forward(ids.reshape([batch * chunks, tokens]), clip_skip);
        if chunks == 1 {
            return states;
        }
        let hidden = states.dims()[2];
        let states = states.reshape([batch, chunks, tokens, hidden]);
        let part = |chunk: usize, from: usize, to: usize| {
            states
                .clone()
                .slice([0..batch, chunk..chunk + 1, from..to])
                .reshape([batch, to - from, hidden])
        };
        let mut parts = vec![part(0, 0, 1)];
        parts.extend((0..chunks).map(|chunk| part(chunk, 1, CHUNK - 1)));
        parts.push(part(chunks - 1, CHUNK - 1, CHUNK));
        Tensor::cat(parts, 1)
    }

    /// Number of hidden layers: the largest sensible clip skip.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }
}

impl Sites for TextEncoder {
    fn prefix(&self) -> &'static str {
        "lora_te"
    }

    fn sites(&mut self, visit: &mut dyn FnMut(Target, Site<'_>)) {
        for layer in &mut self.layers {
            layer.sites(&mut |site| visit(Target::TextEncoder, site));
        }
    }
}

fn causal_mask(tokens: usize, device: &Device) -> Tensor<2> {
    let values: Vec<f32> = (0..tokens * tokens)
        .map(|index| {
            if index % tokens > index / tokens {
                f32::MIN
            } else {
                0.0
            }
        })
        .collect();
    Tensor::from_data(TensorData::new(values, [tokens, tokens]), device)
}
