use burn::tensor::{Tensor, module, ops::ConvOptions};

use super::{ConvGeometry, LowRank, low_rank::scaled};

/// The Kronecker product of two matrices, the change `scale · w1 ⊗ w2` of a frozen weight (LoKr; KronA, Edalati et al. 2022;
/// LyCORIS' `LokrModule`).
///
/// With `w1 [a, b]` and `w2 [c, d · kernel_height · kernel_width]` the weight is `[a·c, b·d, kernel_height, kernel_width]`.
/// The product is never made while training: the input's channels are `b` groups of `d`, `w2` works on each group and
/// `w1` across them.
#[derive(Clone, Debug)]
pub struct Kronecker {
    /// The small factor.
    pub w1: KroneckerFactor,
    /// The large factor.
    pub w2: KroneckerFactor,
}

/// A factor of a Kronecker product: whole, or itself a low-rank pair.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "tensors are handles, and there are two of these for each layer"
)]
pub enum KroneckerFactor {
    /// All of it, f32.
    Whole(Tensor<2>),
    /// `a [rows, rank]` times `b [rank, columns]`, f32.
    Pair {
        /// `[rows, rank]`.
        a: Tensor<2>,
        /// `[rank, columns]`.
        b: Tensor<2>,
    },
}

impl KroneckerFactor {
    /// The factor as a whole.
    pub(super) fn whole(&self) -> Tensor<2> {
        match self {
            Self::Whole(whole) => whole.clone(),
            Self::Pair { a, b } => a.clone().matmul(b.clone()),
        }
    }

    /// `[rows, columns]`.
    pub(super) fn dims(&self) -> [usize; 2] {
        match self {
            Self::Whole(whole) => whole.dims(),
            Self::Pair { a, b } => [a.dims()[0], b.dims()[1]],
        }
    }

    /// `‖factor‖²`, without making a product that is larger than the pair.
    fn squared_norm(&self) -> Tensor<1> {
        let [rows, columns] = self.dims();
        match self {
            Self::Pair { a, b } if self.rank() <= Some(rows.min(columns)) => {
                let (up, down) = (a.clone(), b.clone());
                LowRank { down, up }.squared_norm()
            }
            _ => self.whole().square().sum(),
        }
    }

    fn rank(&self) -> Option<usize> {
        match self {
            Self::Whole(_) => None,
            Self::Pair { b, .. } => Some(b.dims()[0]),
        }
    }
}

impl Kronecker {
    /// By what alpha is divided: the rank of a factor that is a pair, the large one's if both are. Two whole factors are
    /// not scaled.
    pub fn rank(&self) -> Option<usize> {
        self.w2.rank().or_else(|| self.w1.rank())
    }

    /// What the change adds to a linear layer's output.
    pub(super) fn linear<const D: usize>(&self, x: Tensor<D>, scale: f32) -> Tensor<D> {
        let dtype = x.dtype();
        let mut shape = x.dims();
        let ([a, b], [c, d]) = (self.w1.dims(), self.w2.dims());
        let items = shape.iter().product::<usize>() / (b * d);
        let groups: Tensor<2> = x.reshape([items * b, d]);
        let by = |x: Tensor<2>, matrix: &Tensor<2>| {
            module::linear(x, matrix.clone().cast(dtype).transpose(), None)
        };
        let inner = match &self.w2 {
            KroneckerFactor::Whole(whole) => by(groups, whole),
            KroneckerFactor::Pair { a, b } => by(by(groups, b), a),
        };
        let across: Tensor<3> = inner.reshape([items, b, c]).swap_dims(1, 2);
        let w1 = scaled(&self.w1.whole(), scale);
        let outer: Tensor<3> = by(across.reshape([items * c, b]), &w1).reshape([items, c, a]);
        shape[D - 1] = a * c;
        outer.swap_dims(1, 2).reshape(shape)
    }

    /// What the change adds to a convolution's output.
    pub(super) fn conv2d(&self, x: Tensor<4>, geometry: &ConvGeometry, scale: f32) -> Tensor<4> {
        let dtype = x.dtype();
        let [batch, _, height, width] = x.dims();
        let [a, b] = self.w1.dims();
        let [c, _] = self.w2.dims();
        let inputs = geometry.receptive[0] / b;
        let geometry = geometry.with_inputs(inputs);
        let groups = x.reshape([batch * b, inputs, height, width]);
        let convolved = |x: Tensor<4>, matrix: &Tensor<2>| {
            let kernel = geometry.kernel(matrix.clone()).cast(dtype);
            module::conv2d(x, kernel, None, geometry.options.clone())
        };
        let inner = match &self.w2 {
            KroneckerFactor::Whole(whole) => convolved(groups, whole),
            KroneckerFactor::Pair { a, b } => {
                let [outputs, rank] = a.dims();
                let up = a.clone().cast(dtype).reshape([outputs, rank, 1, 1]);
                let pointwise = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
                module::conv2d(convolved(groups, b), up, None, pointwise)
            }
        };
        let [_, _, height, width] = inner.dims();
        let across: Tensor<3> = inner.reshape([batch, b, c * height * width]);
        let w1 = scaled(&self.w1.whole(), scale).cast(dtype);
        let outer: Tensor<3> = w1.unsqueeze::<3>().matmul(across);
        outer.reshape([batch, a * c, height, width])
    }

    /// The change as a whole, `[out, in · kernel_height · kernel_width]`.
    pub(super) fn delta(&self, scale: f32) -> Tensor<2> {
        let ([a, b], [c, columns]) = (self.w1.dims(), self.w2.dims());
        let w1: Tensor<4> = scaled(&self.w1.whole(), scale).reshape([a, 1, b, 1]);
        let w2: Tensor<4> = self.w2.whole().reshape([1, c, 1, columns]);
        (w1 * w2).reshape([a * c, b * columns])
    }

    /// `‖w1 ⊗ w2‖² = ‖w1‖²·‖w2‖²`.
    pub(super) fn squared_norm(&self) -> Tensor<1> {
        self.w1.squared_norm() * self.w2.squared_norm()
    }
}
