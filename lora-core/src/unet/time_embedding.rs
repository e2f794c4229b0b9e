use burn::tensor::{Device, Tensor, TensorData};

use super::UNetConfig;
use crate::{activation::Activation, layer::Linear, weights::Weights};

/// Timesteps to the vector that every resnet is shifted by.
#[derive(Clone, Debug)]
pub(super) struct TimeEmbedding {
    channels: usize,
    flip_sin_to_cos: bool,
    freq_shift: f64,
    linear_1: Linear,
    linear_2: Linear,
}

impl TimeEmbedding {
    pub(super) fn new(config: &UNetConfig, weights: &Weights<'_>) -> Self {
        let channels = config.block_out_channels[0];
        Self {
            channels,
            flip_sin_to_cos: config.flip_sin_to_cos,
            freq_shift: config.freq_shift,
            linear_1: Linear::new(&weights.at("linear_1"), channels, 4 * channels),
            linear_2: Linear::new(&weights.at("linear_2"), 4 * channels, 4 * channels),
        }
    }

    /// One timestep for each item to `[batch, 4 · channels]`.
    ///
    /// `like` gives device and dtype.
    pub(super) fn forward(&self, timesteps: &[f32], like: &Tensor<4>) -> Tensor<2> {
        let waves = self
            .sinusoidal(timesteps, &like.device())
            .cast(like.dtype());
        self.linear_2
            .forward(Activation::Silu.forward(self.linear_1.forward(waves)))
    }

    /// Sinusoidal embedding of diffusers' `get_timestep_embedding`, `[batch, channels]`.
    fn sinusoidal(&self, timesteps: &[f32], device: &Device) -> Tensor<2> {
        let half = self.channels / 2;
        let mut values = Vec::with_capacity(timesteps.len() * self.channels);
        for &timestep in timesteps {
            let angle = |index: usize| {
                let exponent = -(10_000f64.ln()) * index as f64 / (half as f64 - self.freq_shift);
                // The reference rounds the frequency and the product to f32 in turn.
                timestep * exponent.exp() as f32
            };
            let sines = (0..half).map(|index| angle(index).sin());
            let cosines = (0..half).map(|index| angle(index).cos());
            if self.flip_sin_to_cos {
                values.extend(cosines.chain(sines));
            } else {
                values.extend(sines.chain(cosines));
            }
        }
        Tensor::from_data(
            TensorData::new(values, [timesteps.len(), self.channels]),
            device,
        )
    }
}
