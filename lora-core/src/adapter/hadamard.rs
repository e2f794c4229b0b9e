use burn::tensor::{Tensor, module};

use super::{ConvGeometry, LowRank, low_rank::scaled};

/// The element-wise product of two low-rank pairs, the change `scale · (w1_a·w1_b) ∘ (w2_a·w2_b)` of a frozen weight
/// (LoHa; FedPara, Hyeon-Woo et al. 2022; LyCORIS' `LohaModule`).
#[derive(Clone, Debug)]
pub struct Hadamard {
    /// `[out, rank]`, f32.
    pub w1_a: Tensor<2>,
    /// `[rank, in · kernel_height · kernel_width]`, f32.
    pub w1_b: Tensor<2>,
    /// `[out, rank]`, f32.
    pub w2_a: Tensor<2>,
    /// `[rank, in · kernel_height · kernel_width]`, f32.
    pub w2_b: Tensor<2>,
}

/// Numbers of a change that there are at once while its norm is taken: 16 MiB.
const AT_ONCE: usize = 1 << 22;

impl Hadamard {
    /// Inner dimension of both pairs.
    pub fn rank(&self) -> usize {
        let [_, rank] = self.w1_a.dims();
        rank
    }

    /// The same change as one pair of the squared rank, where that is smaller than the weight.
    ///
    /// Row `(i, j)` of its `down` is row `i` of `w1_b` times row `j` of `w2_b`, and so are the columns of its `up`: the
    /// change need not be made as a whole, nor kept for the backward pass.
    pub(super) fn as_low_rank(&self) -> Option<LowRank> {
        let [outputs, rank] = self.w1_a.dims();
        let [_, inputs] = self.w1_b.dims();
        let squared = rank * rank;
        if squared * (outputs + inputs) >= outputs * inputs {
            return None;
        }
        let rows = |first: &Tensor<2>, second: &Tensor<2>| -> Tensor<2> {
            let first: Tensor<3> = first.clone().reshape([rank, 1, inputs]);
            let second: Tensor<3> = second.clone().reshape([1, rank, inputs]);
            (first * second).reshape([squared, inputs])
        };
        let columns = |first: &Tensor<2>, second: &Tensor<2>| -> Tensor<2> {
            let first: Tensor<3> = first.clone().reshape([outputs, rank, 1]);
            let second: Tensor<3> = second.clone().reshape([outputs, 1, rank]);
            (first * second).reshape([outputs, squared])
        };
        Some(LowRank {
            down: rows(&self.w1_b, &self.w2_b),
            up: columns(&self.w1_a, &self.w2_a),
        })
    }

    /// `‖change‖²`, unscaled, never made of more than [`AT_ONCE`] numbers of it at once.
    pub(super) fn squared_norm(&self) -> Tensor<1> {
        let [outputs, rank] = self.w1_a.dims();
        let [_, inputs] = self.w1_b.dims();
        let rows = (AT_ONCE / inputs).clamp(1, outputs);
        let blocks = (0..outputs).step_by(rows).map(|first| {
            let last = (first + rows).min(outputs);
            let some = |matrix: &Tensor<2>| matrix.clone().slice([first..last, 0..rank]);
            let block = Self {
                w1_a: some(&self.w1_a),
                w2_a: some(&self.w2_a),
                ..self.clone()
            };
            block.delta(1.0).square().sum()
        });
        blocks
            .reduce(|sum, block| sum + block)
            .unwrap_or_else(|| self.w1_a.clone().sum())
    }

    /// What the change adds to a linear layer's output.
    pub(super) fn linear<const D: usize>(&self, x: Tensor<D>, scale: f32) -> Tensor<D> {
        if let Some(pair) = self.as_low_rank() {
            return pair.linear(x, scale, None);
        }
        let weight = self.delta(scale).cast(x.dtype());
        module::linear(x, weight.transpose(), None)
    }

    /// What the change adds to a convolution's output.
    pub(super) fn conv2d(&self, x: Tensor<4>, geometry: &ConvGeometry, scale: f32) -> Tensor<4> {
        if let Some(pair) = self.as_low_rank() {
            return pair.conv2d(x, geometry, scale, None);
        }
        let kernel = geometry.kernel(self.delta(scale)).cast(x.dtype());
        module::conv2d(x, kernel, None, geometry.options.clone())
    }

    /// The change as a whole, `[out, in · kernel_height · kernel_width]`.
    pub(super) fn delta(&self, scale: f32) -> Tensor<2> {
        let first = scaled(&self.w1_a, scale).matmul(self.w1_b.clone());
        first * self.w2_a.clone().matmul(self.w2_b.clone())
    }
}
