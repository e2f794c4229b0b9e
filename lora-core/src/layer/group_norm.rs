use burn::tensor::{DType, FloatDType, Tensor};

use crate::{fused, weights::Weights};

/// Group normalisation over `[batch, channels, height, width]`, always computed in f32
/// (its sums of squares overflow f16 and lose bf16's few digits).
#[derive(Clone, Debug)]
pub struct GroupNorm {
    groups: usize,
    epsilon: f64,
    /// `[channels]`, f32.
    weight: Tensor<1>,
    /// `[channels]`, f32.
    bias: Tensor<1>,
}

impl GroupNorm {
    /// Takes `weight` and `bias`, both `[channels]`, from `weights`.
    pub fn new(weights: &Weights<'_>, groups: usize, channels: usize, epsilon: f64) -> Self {
        Self {
            groups,
            epsilon,
            weight: weights.tensor_f32("weight", [channels]),
            bias: weights.tensor_f32("bias", [channels]),
        }
    }

    /// Normalises each group of channels of each item; keeps shape and dtype.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let dtype: FloatDType = x.dtype().into();
        let (weight, bias) = (self.weight.clone(), self.bias.clone());
        fused::group_norm(x.cast(DType::F32), weight, bias, self.groups, self.epsilon).cast(dtype)
    }
}
