use burn::tensor::{DType, FloatDType, Tensor};

use crate::{fused, weights::Weights};

/// Layer normalisation over the last axis, always computed in f32.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    epsilon: f64,
    /// `[channels]`, f32.
    weight: Tensor<1>,
    /// `[channels]`, f32.
    bias: Tensor<1>,
}

impl LayerNorm {
    /// Takes `weight` and `bias`, both `[channels]`, from `weights`.
    pub fn new(weights: &Weights<'_>, channels: usize, epsilon: f64) -> Self {
        Self {
            epsilon,
            weight: weights.tensor_f32("weight", [channels]),
            bias: weights.tensor_f32("bias", [channels]),
        }
    }

    /// `[batch, tokens, channels]`; keeps shape and dtype.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let dtype: FloatDType = x.dtype().into();
        let (weight, bias) = (self.weight.clone(), self.bias.clone());
        fused::layer_norm(x.cast(DType::F32), weight, bias, self.epsilon).cast(dtype)
    }
}
