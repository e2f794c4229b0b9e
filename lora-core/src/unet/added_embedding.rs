use burn::tensor::{FloatDType, Tensor};

use super::{AddedConditions, UNetConfig, sinusoidal::Sinusoidal};
use crate::{activation::Activation, layer::Linear, weights::Weights};

/// SDXL's second embedding beside the timestep's: the pooled text and six numbers about the picture's size
/// (Podell et al. 2023; diffusers' `text_time`).
#[derive(Clone, Debug)]
pub(super) struct AddedEmbedding {
    waves: Sinusoidal,
    linear_1: Linear,
    linear_2: Linear,
}

impl AddedEmbedding {
    pub(super) fn new(config: &UNetConfig, weights: &Weights<'_>) -> Self {
        let channels = 4 * config.block_out_channels[0];
        let inputs = config.projection_class_embeddings_input_dim.unwrap_or(0);
        let numbers = config.addition_time_embed_dim.unwrap_or(0);
        Self {
            waves: Sinusoidal::new(config, numbers),
            linear_1: Linear::new(&weights.at("linear_1"), inputs, channels),
            linear_2: Linear::new(&weights.at("linear_2"), channels, channels),
        }
    }

    /// `[batch, 4 · channels]`, to be added to the timestep's embedding.
    pub(super) fn forward(&self, added: &AddedConditions, dtype: FloatDType) -> Tensor<2> {
        let pooled = added.pooled.clone().cast(dtype);
        let batch = added.sizes.len();
        let waves = self
            .waves
            .embed(added.sizes.as_flattened(), &pooled.device());
        let [numbers, channels] = waves.dims();
        let waves = waves.reshape([batch, numbers * channels / batch]);
        let joined = Tensor::cat(vec![pooled, waves.cast(dtype)], 1);
        self.linear_2
            .forward(Activation::Silu.forward(self.linear_1.forward(joined)))
    }

    /// The layers that adapters can sit on.
    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 2] {
        [&mut self.linear_1, &mut self.linear_2]
    }
}
