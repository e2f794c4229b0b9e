//! The autoencoder between pictures and latents, as diffusers' `AutoencoderKL` computes it.

mod config;
mod decoder;
mod encoder;
mod middle;

use burn::tensor::Tensor;

pub use config::VaeConfig;
use decoder::Decoder;
use encoder::Encoder;

use crate::{layer::Conv2d, weights::Weights};

/// Encodes pictures to a normal distribution over latents and decodes latents to pictures.
#[derive(Clone, Debug)]
pub struct Vae {
    encoder: Encoder,
    quant_conv: Conv2d,
    post_quant_conv: Conv2d,
    decoder: Decoder,
    scaling_factor: f64,
    reduction: usize,
    latent_channels: usize,
}

/// A normal distribution over latents, before the scaling factor.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// `[batch, latent_channels, height, width]`; also the distribution's mode.
    pub mean: Tensor<4>,
    /// Logarithm of the variance, clamped to [-30, 20]; same shape.
    pub logvar: Tensor<4>,
}

impl Posterior {
    /// `mean + noise · exp(logvar / 2)`; `noise` is standard normal, of the mean's shape.
    pub fn sample(&self, noise: Tensor<4>) -> Tensor<4> {
        self.mean.clone() + (self.logvar.clone() * 0.5).exp() * noise
    }
}

impl Vae {
    /// Takes all its tensors from `weights`.
    pub fn new(config: &VaeConfig, weights: &Weights<'_>) -> Self {
        let latent = config.latent_channels;
        Self {
            encoder: Encoder::new(config, &weights.at("encoder")),
            quant_conv: Conv2d::new(&weights.at("quant_conv"), 2 * latent, 2 * latent, 1),
            post_quant_conv: Conv2d::new(&weights.at("post_quant_conv"), latent, latent, 1),
            decoder: Decoder::new(config, &weights.at("decoder")),
            scaling_factor: config.scaling_factor,
            reduction: config.reduction(),
            latent_channels: latent,
        }
    }

    /// Pictures `[batch, 3, height, width]` in [-1, 1] to the distribution of their latents.
    pub fn encode(&self, pictures: Tensor<4>) -> Posterior {
        let moments = self.quant_conv.forward(self.encoder.forward(pictures));
        let mut halves = moments.chunk(2, 1).into_iter();
        let (Some(mean), Some(logvar)) = (halves.next(), halves.next()) else {
            unreachable!("chunk(2) of an even width gives two halves");
        };
        Posterior {
            mean,
            logvar: logvar.clamp(-30.0, 20.0),
        }
    }

    /// Latents as the UNet sees them (times the scaling factor) to pictures in about [-1, 1].
    pub fn decode(&self, latents: Tensor<4>) -> Tensor<4> {
        let latents = latents / self.scaling_factor;
        self.decoder.forward(self.post_quant_conv.forward(latents))
    }

    /// What latents are multiplied by before the UNet sees them.
    pub fn scaling_factor(&self) -> f64 {
        self.scaling_factor
    }

    /// Channels of the latents.
    pub fn latent_channels(&self) -> usize {
        self.latent_channels
    }

    /// Pixels of one latent along each side.
    pub fn reduction(&self) -> usize {
        self.reduction
    }
}
