//! Scaled dot-product attention: the one place where any network attends.

use burn::tensor::{DType, FloatDType, Tensor};

use crate::fused;

/// `softmax(q·kᵀ / √head_dim + mask)·v`.
///
/// `query` is `[batch, tokens, channels]`, `key` and `value` are `[batch, context, channels]`, `mask` is added to the
/// scores and is `[tokens, context]`; channels split evenly over `heads`. Gives `[batch, tokens, channels]`.
/// The query is scaled before the product and the softmax runs in f32, so that half precision neither overflows nor
/// loses the small weights.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    mask: Option<Tensor<2>>,
) -> Tensor<3> {
    let dtype: FloatDType = query.dtype().into();
    let [batch, tokens, channels] = query.dims();
    let head_dim = channels / heads;
    let split = |x: Tensor<3>| {
        let [batch, length, _] = x.dims();
        x.reshape([batch, length, heads, head_dim]).swap_dims(1, 2)
    };
    let query = split(query) * (head_dim as f64).powf(-0.5);
    let scores = query.matmul(split(key).transpose()).cast(DType::F32);
    let scores = match mask {
        Some(mask) => scores + mask.unsqueeze(),
        None => scores,
    };
    fused::softmax(scores)
        .cast(dtype)
        .matmul(split(value))
        .swap_dims(1, 2)
        .reshape([batch, tokens, channels])
}
