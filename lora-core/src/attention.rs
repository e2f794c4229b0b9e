//! Scaled dot-product attention: the one place where any network attends.

use burn::tensor::{DType, Device, FloatDType, Tensor, TensorData};

use crate::fused::{self, Heads};

/// Which keys a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All of them.
    Everything,
    /// Those up to its own place, as in CLIP's text encoder.
    Backwards,
}

/// `softmax(q·kᵀ / √head_dim)·v`, over the keys that each query sees.
///
/// `query` is `[batch, tokens, channels]`, `key` and `value` are `[batch, context, channels]`; channels split evenly over
/// `heads`. Gives `[batch, tokens, channels]`. The scores are f32 in every number format, so that half precision neither
/// overflows nor loses the small weights.
///
/// On the CPU no scores are kept for the backward pass, which computes them again block by block.
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    heads: usize,
    sight: Sight,
) -> Tensor<3> {
    let [_, tokens, channels] = query.dims();
    let [_, context, _] = key.dims();
    let width = channels / heads;
    let shape = Heads {
        heads,
        width,
        tokens,
        context,
        scale: (width as f32).sqrt().recip(),
        causal: sight == Sight::Backwards,
    };
    match fused::attention(&query, &key, &value, shape) {
        Some(out) => out,
        None => at_once(query, key, value, shape),
    }
}

/// All scores in one tensor. The query is scaled before the product, which could overflow f16.
fn at_once(query: Tensor<3>, key: Tensor<3>, value: Tensor<3>, shape: Heads) -> Tensor<3> {
    let dtype: FloatDType = query.dtype().into();
    let [batch, tokens, channels] = query.dims();
    let split = |x: Tensor<3>| {
        let [batch, length, _] = x.dims();
        x.reshape([batch, length, shape.heads, shape.width])
            .swap_dims(1, 2)
    };
    let query = split(query) * shape.scale;
    let scores = query.matmul(split(key).transpose()).cast(DType::F32);
    let scores = if shape.causal {
        let mask = backwards(tokens, shape.context, &scores.device());
        scores + mask.unsqueeze()
    } else {
        scores
    };
    fused::softmax(scores)
        .cast(dtype)
        .matmul(split(value))
        .swap_dims(1, 2)
        .reshape([batch, tokens, channels])
}

/// What is added to the scores so that no query sees a key after its own place, `[tokens, context]`.
fn backwards(tokens: usize, context: usize, device: &Device) -> Tensor<2> {
    let hidden = |index: usize| index % context > index / context;
    let values = (0..tokens * context).map(|index| if hidden(index) { f32::MIN } else { 0.0 });
    let values: Vec<f32> = values.collect();
    Tensor::from_data(TensorData::new(values, [tokens, context]), device)
}
