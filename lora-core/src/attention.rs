//! Scaled dot-product attention: the one place where any network attends.

use burn::{
    backend::DispatchTensor,
    tensor::{DType, Device, FloatDType, Tensor, TensorData, module, ops::AttentionModuleOptions},
};

use crate::{
    adapter::Site,
    fused::{self, Heads},
    recompute::{Piece, recomputed},
};

/// Which keys a query sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All of them.
    Everything,
    /// Those up to its own place, as in CLIP's text encoder.
    Backwards,
}

/// Scores that are in memory at once where there is no kernel for attention: 128 MiB in f32, unless one query has more.
const SCORES: usize = 1 << 25;

/// What burn's flash attention cuts a head into.
const TILE: usize = 16;
/// A multiple of the queries that it takes at once, whichever of its variants that is.
const ROWS: usize = 128;

/// `softmax(q·kᵀ / √head_dim)·v`, over the keys that each query sees.
///
/// `query` is `[batch, tokens, channels]`, `key` and `value` are `[batch, context, channels]`; channels split evenly over
/// `heads`. Gives `[batch, tokens, channels]`. The scores are f32 in every number format, so that half precision neither
/// overflows nor loses the small weights.
///
/// No scores are kept for the backward pass, which computes them again, block by block (Rabe and Staats 2021). On the CPU a
/// kernel does that, elsewhere burn's operations on blocks of queries; on CUDA in half precision the forward pass is burn's flash attention.
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
        None => in_blocks(&query, &key, &value, shape, SCORES),
    }
}

/// One block of queries after the other, so many that there are at most `scores` scores at once.
fn in_blocks(
    query: &Tensor<3>,
    key: &Tensor<3>,
    value: &Tensor<3>,
    shape: Heads,
    scores: usize,
) -> Tensor<3> {
    let [batch, tokens, channels] = query.dims();
    let most = (scores / (batch * shape.heads * shape.context)).max(1);
    let block = if most > ROWS {
        most / ROWS * ROWS
    } else {
        most
    };
    let blocks = (0..tokens).step_by(block).map(|first| {
        let last = (first + block).min(tokens);
        let queries = Queries {
            heads: shape,
            first,
        };
        let query = query.clone().slice([0..batch, first..last, 0..channels]);
        let inputs = [query, key.clone(), value.clone()].map(Tensor::into_dispatch);
        Tensor::from_dispatch(recomputed(&queries, inputs.into(), Queries::attend))
    });
    let mut blocks: Vec<Tensor<3>> = blocks.collect();
    match blocks.pop() {
        Some(only) if blocks.is_empty() => only,
        last => {
            blocks.extend(last);
            Tensor::cat(blocks, 1)
        }
    }
}

/// A block of queries of an attention; `first` is the place of the first of them.
#[derive(Clone, Copy)]
struct Queries {
    heads: Heads,
    first: usize,
}

impl Piece for Queries {
    fn each_site(&mut self, _: &mut dyn FnMut(Site<'_>)) {}
}

impl Queries {
    fn attend(&self, inputs: Vec<DispatchTensor>) -> DispatchTensor {
        let inputs: [DispatchTensor; 3] = inputs
            .try_into()
            .unwrap_or_else(|_| unreachable!("three inputs"));
        let [query, key, value]: [Tensor<3>; 3] = inputs.map(Tensor::from_dispatch);
        let is_tracked = [&query, &key, &value].iter().any(|x| x.is_tracked());
        let out = if !is_tracked && self.suits_flash(&query) {
            self.flash(query, key, value)
        } else {
            self.at_once(query, key, value)
        };
        out.into_dispatch()
    }

    /// Whether burn has a kernel that takes these. What it does where it has none multiplies without scaling and sums in half
    /// precision, so it must not come to that: CUDA's tensor cores take queries in rows of [`ROWS`], and more queries than a head has numbers.
    fn suits_flash(&self, query: &Tensor<3>) -> bool {
        let [_, tokens, _] = query.dims();
        query.dtype() != DType::F32
            && !self.heads.causal
            && tokens.is_multiple_of(ROWS)
            && tokens > self.heads.width.next_multiple_of(TILE)
            && is_cuda(&query.device())
    }

    /// By burn's flash attention (Dao et al. 2022), which makes no tensor of the scores, where the device has kernels for it. They want
    /// widths that are a multiple of [`TILE`] and scale by the root of the width, so heads are filled up with zeros and the query is
    /// made larger by as much as that scales too little.
    fn flash(&self, query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
        let Heads {
            heads,
            width,
            scale,
            ..
        } = self.heads;
        let [batch, tokens, channels] = query.dims();
        let filled = width.next_multiple_of(TILE);
        let split = |x: Tensor<3>| {
            let [_, length, _] = x.dims();
            let x = x.reshape([batch, length, heads, width]).swap_dims(1, 2);
            if filled == width {
                return x;
            }
            let zeros = [batch, heads, length, filled - width];
            let zeros = Tensor::zeros(zeros, (&x.device(), x.dtype()));
            Tensor::cat(vec![x, zeros], 3)
        };
        let query = split(query) * (scale * (filled as f32).sqrt());
        let options = AttentionModuleOptions::default();
        let out = module::attention(query, split(key), split(value), None, None, options);
        out.slice([0..batch, 0..heads, 0..tokens, 0..width])
            .swap_dims(1, 2)
            .reshape([batch, tokens, channels])
    }

    /// All scores in one tensor. The query is scaled before the product, which could overflow f16.
    fn at_once(&self, query: Tensor<3>, key: Tensor<3>, value: Tensor<3>) -> Tensor<3> {
        let shape = self.heads;
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
            let mask = backwards(self.first, [tokens, shape.context], &scores.device());
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
}

#[cfg(feature = "cuda")]
fn is_cuda(device: &Device) -> bool {
    use burn::backend::{CubeDevice, DispatchDevice};
    matches!(
        device.clone().inner().as_dispatch(),
        DispatchDevice::Cube(CubeDevice::Cuda(_))
    )
}

#[cfg(not(feature = "cuda"))]
fn is_cuda(_: &Device) -> bool {
    false
}

/// What is added to the scores so that no query sees a key after its own place, `[tokens, context]`; the place of the first query is
/// `first`.
fn backwards(first: usize, [tokens, context]: [usize; 2], device: &Device) -> Tensor<2> {
    let hidden = |index: usize| index % context > first + index / context;
    let values = (0..tokens * context).map(|index| if hidden(index) { f32::MIN } else { 0.0 });
    let values: Vec<f32> = values.collect();
    Tensor::from_data(TensorData::new(values, [tokens, context]), device)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The result and the gradients in query, key and value.
    fn attended(
        inputs: &[Tensor<3>; 3],
        attend: impl Fn(&Tensor<3>, &Tensor<3>, &Tensor<3>) -> Tensor<3>,
    ) -> [Vec<f32>; 4] {
        let leaves = inputs
            .each_ref()
            .map(|x| x.clone().autodiff().require_grad());
        let [query, key, value] = &leaves;
        let out = attend(query, key, value);
        let mut all = (out.clone() * out.clone().sin()).sum().backward();
        let numbers = |x: Tensor<3>| -> Vec<f32> { x.into_data().iter().collect() };
        let [query, key, value] = leaves.map(|leaf| leaf.grad_remove(&mut all));
        let gradients = [query, key, value].map(|x| x.map(numbers).unwrap_or_default());
        let [query, key, value] = gradients;
        [numbers(out.inner()), query, key, value]
    }

    #[test]
    fn heads_of_any_width_are_filled_up_for_flash_attention() {
        for width in [5, 16, 40] {
            let [query, key, value] = [(9, 0.7), (6, 1.3), (6, 0.4)].map(|(length, step)| {
                let shape = [2, length, 3 * width];
                let count = shape.iter().product::<usize>();
                let values: Vec<f32> = (0..count).map(|i| (i as f32 * step).sin()).collect();
                Tensor::<3>::from_data(TensorData::new(values, shape), &Device::flex())
            });
            let queries = Queries {
                heads: Heads {
                    heads: 3,
                    width,
                    tokens: 9,
                    context: 6,
                    scale: (width as f32).sqrt().recip(),
                    causal: false,
                },
                first: 0,
            };
            let flash = queries.flash(query.clone(), key.clone(), value.clone());
            let off = (flash - queries.at_once(query, key, value)).abs().max();
            assert!(off.into_scalar::<f32>() < 2e-6, "{width}");
        }
    }

    /// In blocks of any size, which keep no scores, there are the numbers of all scores at once; and of the CPU's kernel.
    #[test]
    fn blocks_of_queries_give_what_all_at_once_give() {
        let tensor = |shape: [usize; 3], step: f32| {
            let count = shape.iter().product::<usize>();
            let values: Vec<f32> = (0..count).map(|i| (i as f32 * step).sin()).collect();
            Tensor::<3>::from_data(TensorData::new(values, shape), &Device::flex())
        };
        for (context, causal) in [(13, false), (5, false), (13, true)] {
            let inputs = [
                tensor([2, 13, 12], 0.7),
                tensor([2, context, 12], 1.3),
                tensor([2, context, 12], 0.4),
            ];
            let shape = Heads {
                heads: 3,
                width: 4,
                tokens: 13,
                context,
                scale: 0.5,
                causal,
            };
            let whole = attended(&inputs, |query, key, value| {
                let queries = Queries {
                    heads: shape,
                    first: 0,
                };
                queries.at_once(query.clone(), key.clone(), value.clone())
            });
            let kernel = attended(&inputs, |query, key, value| {
                fused::attention(query, key, value, shape).expect("a kernel")
            });
            let one_query = 2 * 3 * context;
            for scores in [1, one_query, 4 * one_query, 13 * one_query, usize::MAX] {
                let blocks = attended(&inputs, |query, key, value| {
                    in_blocks(query, key, value, shape, scores)
                });
                let numbers = blocks.iter().zip(whole.iter().zip(&kernel));
                for (blocks, (whole, kernel)) in numbers {
                    assert_eq!((blocks.len(), kernel.len()), (whole.len(), whole.len()));
                    for ((found, whole), kernel) in blocks.iter().zip(whole).zip(kernel) {
                        // Sums of a few products of numbers below 1, in another order.
                        assert!((found - whole).abs() < 2e-6, "{scores}: {found} {whole}");
                        assert!((found - kernel).abs() < 5e-6, "{scores}: {found} {kernel}");
                    }
                }
            }
        }
    }
}
