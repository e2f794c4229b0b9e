use burn::tensor::Tensor;

use super::{UNetConfig, sinusoidal::Sinusoidal};
use crate::{activation::Activation, layer::Linear, weights::Weights};

/// Timesteps to the vector that every resnet is shifted by.
#[derive(Clone, Debug)]
pub(super) struct TimeEmbedding {
    waves: Sinusoidal,
    linear_1: Linear,
    linear_2: Linear,
}

impl TimeEmbedding {
    pub(super) fn new(config: &UNetConfig, weights: &Weights<'_>) -> Self {
        let channels = config.block_out_channels[0];
        Self {
            waves: Sinusoidal::new(config, channels),
            linear_1: Linear::new(&weights.at("linear_1"), channels, 4 * channels),
            linear_2: Linear::new(&weights.at("linear_2"), 4 * channels, 4 * channels),
        }
    }

    /// One timestep for each item to `[batch, 4 · channels]`.
    ///
    /// `like` gives device and dtype.
    pub(super) fn forward(&self, timesteps: &[f32], like: &Tensor<4>) -> Tensor<2> {
        let waves = self
            .waves
            .embed(timesteps, &like.device())
            .cast(like.dtype());
        self.linear_2
            .forward(Activation::Silu.forward(self.linear_1.forward(waves)))
    }

    /// The layers that adapters can sit on.
    pub(super) fn linears_mut(&mut self) -> [&mut Linear; 2] {
        [&mut self.linear_1, &mut self.linear_2]
    }
}
