use burn::tensor::{Tensor, module, ops::ConvOptions};

use super::{ConvGeometry, Dropout};

/// A low-rank pair, the change `scale · up·down` of a frozen weight (LoRA, Hu et al. 2021).
///
/// Both factors are matrices, also for convolutions: they take their 4-D shape only where they are applied and in files.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `[rank, in · kernel_height · kernel_width]`, f32.
    pub down: Tensor<2>,
    /// `[out, rank]`, f32.
    pub up: Tensor<2>,
}

impl LowRank {
    /// Inner dimension of the pair.
    pub fn rank(&self) -> usize {
        let [rank, _] = self.down.dims();
        rank
    }

    /// What the change adds to a linear layer's output: `[.., in]` to `[.., out]`.
    pub(super) fn linear<const D: usize>(
        &self,
        x: Tensor<D>,
        scale: f32,
        dropout: Option<&Dropout>,
    ) -> Tensor<D> {
        let dtype = x.dtype();
        let hidden = module::linear(x, self.down.clone().cast(dtype).transpose(), None);
        let hidden = dropped(hidden, D - 1, dropout);
        let up = scaled(&self.up, scale).cast(dtype).transpose();
        module::linear(hidden, up, None)
    }

    /// What the change adds to a convolution's output: `down` is convolved like the frozen weight, `up` is 1×1.
    pub(super) fn conv2d(
        &self,
        x: Tensor<4>,
        geometry: &ConvGeometry,
        scale: f32,
        dropout: Option<&Dropout>,
    ) -> Tensor<4> {
        if geometry.is_pointwise() {
            return self.pointwise(x, scale, dropout);
        }
        let dtype = x.dtype();
        let [outputs, rank] = self.up.dims();
        let down = geometry.kernel(self.down.clone()).cast(dtype);
        let up = scaled(&self.up, scale)
            .cast(dtype)
            .reshape([outputs, rank, 1, 1]);
        let hidden = module::conv2d(x, down, None, geometry.options.clone());
        let hidden = dropped(hidden, 1, dropout);
        module::conv2d(
            hidden,
            up,
            None,
            ConvOptions::new([1, 1], [0, 0], [1, 1], 1),
        )
    }

    /// The same for a 1×1 convolution: two matrix products over the pixels.
    fn pointwise(&self, x: Tensor<4>, scale: f32, dropout: Option<&Dropout>) -> Tensor<4> {
        let dtype = x.dtype();
        let [batch, inputs, height, width] = x.dims();
        let [outputs, _] = self.up.dims();
        let hidden: Tensor<3> = self.down.clone().cast(dtype).unsqueeze().matmul(x.reshape([
            batch,
            inputs,
            height * width,
        ]));
        let hidden = dropped(hidden, 1, dropout);
        let out: Tensor<3> = scaled(&self.up, scale)
            .cast(dtype)
            .unsqueeze()
            .matmul(hidden);
        out.reshape([batch, outputs, height, width])
    }

    /// `scale · up·down`, `[out, in · kernel_height · kernel_width]`.
    pub(super) fn delta(&self, scale: f32) -> Tensor<2> {
        scaled(&self.up, scale).matmul(self.down.clone())
    }

    /// `‖up·down‖²`, from the products of the thin factors with themselves.
    pub(super) fn squared_norm(&self) -> Tensor<1> {
        let up = self.up.clone().transpose().matmul(self.up.clone());
        let down = self.down.clone().matmul(self.down.clone().transpose());
        // Rounding can leave a little less than nothing.
        (up * down).sum().clamp_min(0.0)
    }

    /// By how much the squared norm of each row of `weight` grows when `scale · up·down` is added, `[out]`, without making
    /// that product: `2·scale·Σ(W·downᵀ ∘ up) + scale²·Σ(up·down·downᵀ ∘ up)`.
    pub(super) fn row_squares_gain(&self, weight: Tensor<2>, scale: f32) -> [Tensor<1>; 2] {
        let [outputs, _] = self.up.dims();
        // The frozen weight keeps its number format: a copy in f32 would have to be kept for the backward pass.
        let down = self.down.clone().cast(weight.dtype());
        let across = weight.matmul(down.transpose()).cast(self.up.dtype()) * self.up.clone();
        let gram = self.down.clone().matmul(self.down.clone().transpose());
        let own = self.up.clone().matmul(gram) * self.up.clone();
        let sum = |product: Tensor<2>| product.sum_dim(1).reshape([outputs]);
        [sum(across) * (2.0 * scale), sum(own) * (scale * scale)]
    }
}

/// Scaling a factor costs `out · rank`, scaling the output `batch · tokens · out`.
pub(super) fn scaled(factor: &Tensor<2>, scale: f32) -> Tensor<2> {
    if (scale - 1.0).abs() < f32::EPSILON {
        factor.clone()
    } else {
        factor.clone() * scale
    }
}

fn dropped<const D: usize>(
    hidden: Tensor<D>,
    rank_axis: usize,
    dropout: Option<&Dropout>,
) -> Tensor<D> {
    match dropout {
        Some(dropout) => dropout.of_hidden(hidden, rank_axis),
        None => hidden,
    }
}
