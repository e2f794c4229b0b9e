use burn::{backend::DispatchTensor, tensor::Tensor};

use crate::{
    adapter::Site,
    attention::{Sight, attention},
    fused,
    layer::{LayerNorm, Linear},
    recompute::{Piece, recomputed},
    weights::Weights,
};

/// Epsilon of the layer norms (PyTorch's default, which diffusers keeps).
const EPSILON: f64 = 1e-5;

/// Self-attention, cross-attention and a gated feed-forward, each behind a layer norm (diffusers'
/// `BasicTransformerBlock`).
#[derive(Clone, Debug)]
pub(super) struct TransformerBlock {
    norm1: LayerNorm,
    attn1: Attention,
    norm2: LayerNorm,
    attn2: Attention,
    norm3: LayerNorm,
    feed_forward: GatedFeedForward,
}

impl TransformerBlock {
    pub(super) fn new(weights: &Weights<'_>, channels: usize, heads: usize, text: usize) -> Self {
        let norm = |name: &str| LayerNorm::new(&weights.at(name), channels, EPSILON);
        Self {
            norm1: norm("norm1"),
            attn1: Attention::new(&weights.at("attn1"), channels, heads, channels),
            norm2: norm("norm2"),
            attn2: Attention::new(&weights.at("attn2"), channels, heads, text),
            norm3: norm("norm3"),
            feed_forward: GatedFeedForward::new(&weights.at("ff").at("net"), channels),
        }
    }

    /// `[batch, tokens, channels]` to the same; `text` is `[batch, text tokens, text channels]`.
    pub(super) fn forward(&self, x: Tensor<3>, text: Tensor<3>) -> Tensor<3> {
        let normal = self.norm1.forward(x.clone());
        let x = x + self.attn1.forward(normal.clone(), normal);
        let x = x.clone() + self.attn2.forward(self.norm2.forward(x), text);
        x.clone() + self.feed_forward.forward(self.norm3.forward(x))
    }

    /// As [`Self::forward`], keeping nothing for the backward pass but what it is given.
    pub(super) fn forward_again(&self, x: Tensor<3>, text: Tensor<3>) -> Tensor<3> {
        let inputs = vec![x.into_dispatch(), text.into_dispatch()];
        let forward = |block: &Self, inputs: Vec<DispatchTensor>| {
            let [x, text] = inputs
                .try_into()
                .unwrap_or_else(|_| unreachable!("two inputs"));
            let text = Tensor::from_dispatch(text);
            block
                .forward(Tensor::from_dispatch(x), text)
                .into_dispatch()
        };
        Tensor::from_dispatch(recomputed(self, inputs, forward))
    }

    pub(super) fn sites(&mut self, visit: &mut dyn FnMut(Site<'_>)) {
        self.attn1.sites(visit);
        self.attn2.sites(visit);
        visit(self.feed_forward.proj.site());
        visit(self.feed_forward.out.site());
    }
}

impl Piece for TransformerBlock {
    fn each_site(&mut self, visit: &mut dyn FnMut(Site<'_>)) {
        self.sites(visit);
    }
}

/// Attention of tokens to a context, which is themselves or the text.
#[derive(Clone, Debug)]
struct Attention {
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    heads: usize,
}

impl Attention {
    fn new(weights: &Weights<'_>, channels: usize, heads: usize, context: usize) -> Self {
        let projection =
            |name: &str, inputs| Linear::without_bias(&weights.at(name), inputs, channels);
        Self {
            to_q: projection("to_q", channels),
            to_k: projection("to_k", context),
            to_v: projection("to_v", context),
            to_out: Linear::new(&weights.at("to_out").at(0), channels, channels),
            heads,
        }
    }

    fn forward(&self, x: Tensor<3>, context: Tensor<3>) -> Tensor<3> {
        let attended = attention(
            self.to_q.forward(x),
            self.to_k.forward(context.clone()),
            self.to_v.forward(context),
            self.heads,
            Sight::Everything,
        );
        self.to_out.forward(attended)
    }

    fn sites(&mut self, visit: &mut dyn FnMut(Site<'_>)) {
        for linear in [
            &mut self.to_q,
            &mut self.to_k,
            &mut self.to_v,
            &mut self.to_out,
        ] {
            visit(linear.site());
        }
    }
}

/// GEGLU (Shazeer 2020): half of a projection gates the other half through GELU.
#[derive(Clone, Debug)]
struct GatedFeedForward {
    proj: Linear,
    out: Linear,
}

impl GatedFeedForward {
    fn new(weights: &Weights<'_>, channels: usize) -> Self {
        let inner = 4 * channels;
        Self {
            proj: Linear::new(&weights.at(0).at("proj"), channels, 2 * inner),
            out: Linear::new(&weights.at(2), inner, channels),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.out.forward(fused::geglu(self.proj.forward(x)))
    }
}
