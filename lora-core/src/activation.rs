//! The activation functions that model configs name.

use burn::tensor::Tensor;
use serde::Deserialize;

use crate::fused;

/// An activation function, by the name diffusers and transformers configs give it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x·σ(x)`, also called swish.
    #[serde(alias = "swish")]
    Silu,
    /// The exact GELU, `x·Φ(x)`.
    Gelu,
    /// OpenAI CLIP's approximation, `x·σ(1.702·x)`.
    QuickGelu,
}

impl Activation {
    /// Applies the function to every element.
    pub fn forward<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Silu => fused::silu(x),
            Self::Gelu => fused::gelu(x),
            Self::QuickGelu => fused::quick_gelu(x),
        }
    }
}
