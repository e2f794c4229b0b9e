//! The operations as a burn backend extension.

use burn::backend::{Backend, backend_extension, tensor::FloatTensor};

/// A function of each element by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointwise {
    /// `x·σ(x)`.
    Silu,
    /// `x·Φ(x)`.
    Gelu,
    /// `x·σ(1.702·x)`.
    QuickGelu,
}

/// What a norm takes mean and variance over, and how weights lie in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Runs of `channels` elements, each with a weight of its own.
    Last {
        /// Elements of a run.
        channels: usize,
    },
    /// Runs of `channels / groups` planes of an item, each with one weight.
    Groups {
        /// Groups of an item.
        groups: usize,
        /// Channels of an item.
        channels: usize,
        /// Elements of a channel: height times width.
        plane: usize,
    },
}

/// A convolution's window over a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// `[height, width]` of the picture.
    pub picture: [usize; 2],
    /// Side of the window.
    pub size: usize,
    /// Pixels between two placements.
    pub stride: usize,
    /// Zeros around the picture.
    pub padding: usize,
}

impl Window {
    /// `[height, width]` of the convolution's result.
    pub fn output(self) -> [usize; 2] {
        self.picture
            .map(|extent| (extent + 2 * self.padding - self.size) / self.stride + 1)
    }
}

/// How a pair of thin factors stands beside a linear layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// What the pair is multiplied by.
    pub scale: f32,
    /// Whether the layer has a bias; what is given as one is not looked at otherwise.
    pub has_bias: bool,
    /// Whether the gradient in the layer's input is wanted.
    pub passes_on: bool,
}

/// Shape of an attention: heads lie side by side in the channels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Heads {
    /// Heads.
    pub heads: usize,
    /// Channels of a head.
    pub width: usize,
    /// Queries of an item.
    pub tokens: usize,
    /// Keys and values of an item.
    pub context: usize,
    /// What the scores are multiplied by.
    pub scale: f32,
    /// Whether a query sees only the keys up to its own place.
    pub causal: bool,
}

/// Operations with hand-written CPU kernels; all tensors are f32.
#[backend_extension(Flex, Autodiff)]
pub trait CpuOps: Backend {
    /// `function` of every element.
    fn pointwise(x: FloatTensor<Self>, function: Pointwise) -> FloatTensor<Self>;
    /// `grad` times the derivative of `function` at every element of `x`.
    fn pointwise_backward(
        x: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        function: Pointwise,
    ) -> FloatTensor<Self>;
    /// `[.., 2·width]` to `[.., width]`: the first half times gelu of the second.
    fn geglu(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The gradient of [`Self::geglu`] in `x`.
    fn geglu_backward(x: FloatTensor<Self>, grad: FloatTensor<Self>) -> FloatTensor<Self>;
    /// Softmax over the last axis.
    fn softmax_last(x: FloatTensor<Self>) -> FloatTensor<Self>;
    /// The gradient of [`Self::softmax_last`] in its input, from its `output`.
    fn softmax_last_backward(
        output: FloatTensor<Self>,
        grad: FloatTensor<Self>,
    ) -> FloatTensor<Self>;
    /// `(x − mean) / √(variance + epsilon)` of each row, then `· weight + bias`.
    fn normalise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        rows: Rows,
        epsilon: f64,
    ) -> FloatTensor<Self>;
    /// The gradient of [`Self::normalise`] in `x`.
    fn normalise_backward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        rows: Rows,
        epsilon: f64,
    ) -> FloatTensor<Self>;
    /// `softmax(q·kᵀ·scale)·v` of every head, from `[batch, tokens, channels]` and twice `[batch, context, channels]`, and
    /// what its backward pass needs besides, `[batch, tokens, heads]`.
    fn blocked_attention(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        heads: Heads,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// The gradients of [`Self::blocked_attention`] in query, key and value.
    fn blocked_attention_backward(
        query: FloatTensor<Self>,
        key: FloatTensor<Self>,
        value: FloatTensor<Self>,
        output: FloatTensor<Self>,
        logs: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        heads: Heads,
    ) -> Vec<FloatTensor<Self>>;
    /// `x·Wᵀ + bias + scale·(x·downᵀ)·upᵀ` for `x [.., in]`, a constant `weight [out, in]` and `bias [out]`, where
    /// [`has_bias`](Pair::has_bias) says so, `down [rank, in]` and `up [out, rank]`; and `x·downᵀ`, flat.
    fn low_rank_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        pair: Pair,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
    /// The gradients of [`Self::low_rank_linear`] in `down`, in `up` and, where it is wanted, in `x`; `frozen` is the weight,
    /// `hidden` what the forward pass gave besides.
    fn low_rank_linear_backward(
        x: FloatTensor<Self>,
        frozen: FloatTensor<Self>,
        down: FloatTensor<Self>,
        up: FloatTensor<Self>,
        hidden: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        pair: Pair,
    ) -> Vec<FloatTensor<Self>>;
}
