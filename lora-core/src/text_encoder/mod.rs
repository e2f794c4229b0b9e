//! CLIP's text encoder (Radford et al. 2021), as transformers' `CLIPTextModel` computes it.

mod config;
mod layer;
mod token_rows;

use std::ops::Range;

use burn::tensor::{Tensor, module};

pub use config::TextEncoderConfig;
use layer::TextLayer;
pub use token_rows::TokenRows;

use crate::{
    adapter::{Naming, Site, Sites, Target},
    layer::{LayerNorm, Linear},
    weights::Weights,
};

/// Turns token ids into the states that the UNet's cross-attention looks at.
#[derive(Clone, Debug)]
pub struct TextEncoder {
    /// kohya's prefix of its adapters' names, such as `lora_te`.
    prefix: &'static str,
    /// `[vocabulary, hidden]`.
    token_embedding: Tensor<2>,
    /// `[77, hidden]`.
    position_embedding: Tensor<2>,
    layers: Vec<TextLayer>,
    final_layer_norm: LayerNorm,
    /// From `hidden` to `projection`, of an encoder whose pooled state is used.
    projection: Option<Linear>,
    end_token: u32,
}

impl TextEncoder {
    /// Takes all tensors below `text_model` from `weights`; `prefix` is what kohya calls this encoder's adapters.
    pub fn new(config: &TextEncoderConfig, prefix: &'static str, weights: &Weights<'_>) -> Self {
        let model = weights.at("text_model");
        let embeddings = model.at("embeddings");
        let encoder = model.at("encoder").at("layers");
        Self {
            prefix,
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
            projection: None,
            end_token: config.end_token(),
        }
    }

    /// As [`Self::new`], with the projection of the pooled state (transformers' `CLIPTextModelWithProjection`).
    pub fn with_projection(
        config: &TextEncoderConfig,
        prefix: &'static str,
        weights: &Weights<'_>,
    ) -> Self {
        let projection = weights.at("text_projection");
        Self {
            projection: Some(Linear::without_bias(
                &projection,
                config.hidden_size,
                config.projection_dim,
            )),
            ..Self::new(config, prefix, weights)
        }
    }

    /// Token ids to states `[rows, 77, hidden]`.
    ///
    /// `clip_skip` n uses the n-th last hidden layer, then the final layer norm, as kohya does for SD1; 1 is the last.
    pub fn forward(&self, ids: &TokenRows, clip_skip: usize) -> Tensor<3> {
        let depth = self.layers.len();
        let depth = depth.saturating_sub(clip_skip.saturating_sub(1));
        let hidden = self.through(self.embed(ids), 0..depth);
        self.final_layer_norm.forward(hidden)
    }

    /// Token ids to the states before the last layer, `[rows, 77, hidden]`, without the final layer norm: what SDXL
    /// takes.
    pub fn penultimate(&self, ids: &TokenRows) -> Tensor<3> {
        self.through(self.embed(ids), 0..self.layers.len().saturating_sub(1))
    }

    /// As [`Self::penultimate`], and the projected last state of each row's end token, `[rows, projection]`.
    ///
    /// The pooled vector is `None` when there is no projection.
    pub fn penultimate_and_pooled(&self, ids: &TokenRows) -> (Tensor<3>, Option<Tensor<2>>) {
        let hidden = self.penultimate(ids);
        let pooled = self.projection.as_ref().map(|projection| {
            let last = self.layers.len().saturating_sub(1)..self.layers.len();
            let last = self.through(hidden.clone(), last);
            // The norm looks at one state at a time, so only the ones that are pooled need it.
            let ends = ids.first_places_of(self.end_token);
            let pooled = ends
                .enumerate()
                .map(|(row, place)| last.clone().narrow(0, row, 1).narrow(1, place, 1));
            let pooled = self
                .final_layer_norm
                .forward(Tensor::cat(pooled.collect(), 0));
            let pooled: Tensor<2> = pooled.squeeze_dim(1);
            projection.forward(pooled)
        });
        (hidden, pooled)
    }

    /// Number of hidden layers: the largest sensible clip skip.
    pub fn depth(&self) -> usize {
        self.layers.len()
    }

    fn embed(&self, ids: &TokenRows) -> Tensor<3> {
        let ids = ids.on(&self.token_embedding.device());
        let [_, tokens] = ids.dims();
        let positions = self.position_embedding.clone().narrow(0, 0, tokens);
        module::embedding(self.token_embedding.clone(), ids) + positions.unsqueeze()
    }

    fn through(&self, hidden: Tensor<3>, layers: Range<usize>) -> Tensor<3> {
        self.layers[layers]
            .iter()
            .fold(hidden, |hidden, layer| layer.forward(hidden))
    }
}

impl Sites for TextEncoder {
    fn naming(&self) -> Naming {
        Naming::text_encoder(self.prefix)
    }

    fn sites(&mut self, visit: &mut dyn FnMut(Target, Site<'_>)) {
        for layer in &mut self.layers {
            layer.sites(&mut |site| visit(Target::TextEncoder, site));
        }
        if let Some(projection) = &mut self.projection {
            visit(Target::TextProjection, projection.site());
        }
    }
}
