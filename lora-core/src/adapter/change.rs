use burn::tensor::{Tensor, module};

use super::{ConvGeometry, Dropout, Hadamard, Kronecker, KroneckerFactor, LowRank};

/// How the change of a frozen weight is put together from trained matrices.
#[derive(Clone, Debug)]
pub enum Change {
    /// LoRA, and LoCon on convolutions.
    LowRank(LowRank),
    /// A pair that started from the weight's own principal components, less what it was then (PiSSA, Meng et al. 2024):
    /// so the frozen weight stays as it is.
    SinceStart {
        /// The trained pair.
        now: LowRank,
        /// The pair as it was at the start; not trained.
        start: LowRank,
    },
    /// LoHa.
    Hadamard(Hadamard),
    /// LoKr.
    Kronecker(Kronecker),
    /// `[out, in · kernel_height · kernel_width]`, f32: what files hold in forms that are not trained.
    Whole(Tensor<2>),
}

impl Change {
    /// By what alpha is divided; `None` where there is no scale.
    pub fn rank(&self) -> Option<usize> {
        match self {
            Self::LowRank(pair) | Self::SinceStart { now: pair, .. } => Some(pair.rank()),
            Self::Hadamard(product) => Some(product.rank()),
            Self::Kronecker(product) => product.rank(),
            Self::Whole(_) => None,
        }
    }

    /// What `scale` times the change adds to a linear layer's output.
    pub(super) fn linear<const D: usize>(
        &self,
        x: Tensor<D>,
        scale: f32,
        dropout: Option<&Dropout>,
    ) -> Tensor<D> {
        match self {
            Self::LowRank(pair) => pair.linear(x, scale, dropout),
            Self::SinceStart { now, start } => {
                now.linear(x.clone(), scale, dropout) - start.linear(x, scale, dropout)
            }
            Self::Hadamard(product) => product.linear(x, scale),
            Self::Kronecker(product) => product.linear(x, scale),
            Self::Whole(whole) => {
                let weight = whole.clone().cast(x.dtype()).transpose();
                module::linear(x, weight, None) * scale
            }
        }
    }

    /// What `scale` times the change adds to a convolution's output.
    pub(super) fn conv2d(
        &self,
        x: Tensor<4>,
        geometry: &ConvGeometry,
        scale: f32,
        dropout: Option<&Dropout>,
    ) -> Tensor<4> {
        match self {
            Self::LowRank(pair) => pair.conv2d(x, geometry, scale, dropout),
            Self::SinceStart { now, start } => {
                now.conv2d(x.clone(), geometry, scale, dropout)
                    - start.conv2d(x, geometry, scale, dropout)
            }
            Self::Hadamard(product) => product.conv2d(x, geometry, scale),
            Self::Kronecker(product) => product.conv2d(x, geometry, scale),
            Self::Whole(whole) => {
                let kernel = geometry.kernel(whole.clone()).cast(x.dtype());
                module::conv2d(x, kernel, None, geometry.options.clone()) * scale
            }
        }
    }

    /// `scale` times the change, `[out, in · kernel_height · kernel_width]`.
    pub(super) fn delta(&self, scale: f32) -> Tensor<2> {
        match self {
            Self::LowRank(pair) => pair.delta(scale),
            Self::SinceStart { now, start } => now.delta(scale) - start.delta(scale),
            Self::Hadamard(product) => product.delta(scale),
            Self::Kronecker(product) => product.delta(scale),
            Self::Whole(whole) => whole.clone() * scale,
        }
    }

    /// `‖change‖²`, unscaled, a number on the device.
    pub(crate) fn squared_norm(&self) -> Tensor<1> {
        match self {
            Self::Kronecker(product) => product.squared_norm(),
            Self::Hadamard(product) => product.squared_norm(),
            _ => match self.as_low_rank() {
                Some(pair) => pair.squared_norm(),
                None => self.delta(1.0).square().sum(),
            },
        }
    }

    /// The change as one pair, where that is cheaper than the whole.
    pub(super) fn as_low_rank(&self) -> Option<LowRank> {
        match self {
            Self::LowRank(pair) => Some(pair.clone()),
            Self::SinceStart { now, start } => Some(LowRank {
                down: Tensor::cat(vec![now.down.clone(), start.down.clone()], 0),
                up: Tensor::cat(vec![now.up.clone(), -start.up.clone()], 1),
            }),
            Self::Hadamard(product) => product.as_low_rank(),
            Self::Kronecker(_) | Self::Whole(_) => None,
        }
    }

    /// Offers every trained matrix with the name that files give it behind the module's.
    pub fn each_part(&mut self, visit: &mut dyn FnMut(&'static str, &mut Tensor<2>)) {
        match self {
            Self::LowRank(pair) | Self::SinceStart { now: pair, .. } => {
                visit("lora_down.weight", &mut pair.down);
                visit("lora_up.weight", &mut pair.up);
            }
            Self::Hadamard(product) => {
                visit("hada_w1_a", &mut product.w1_a);
                visit("hada_w1_b", &mut product.w1_b);
                visit("hada_w2_a", &mut product.w2_a);
                visit("hada_w2_b", &mut product.w2_b);
            }
            Self::Kronecker(product) => {
                let names = ["lokr_w1", "lokr_w1_a", "lokr_w1_b"];
                each_of_factor(&mut product.w1, names, visit);
                let names = ["lokr_w2", "lokr_w2_a", "lokr_w2_b"];
                each_of_factor(&mut product.w2, names, visit);
            }
            Self::Whole(_) => {}
        }
    }
}

fn each_of_factor(
    factor: &mut KroneckerFactor,
    [whole, first, second]: [&'static str; 3],
    visit: &mut dyn FnMut(&'static str, &mut Tensor<2>),
) {
    match factor {
        KroneckerFactor::Whole(matrix) => visit(whole, matrix),
        KroneckerFactor::Pair { a, b } => {
            visit(first, a);
            visit(second, b);
        }
    }
}
