//! Halving and doubling of feature maps.

use burn::tensor::{
    Tensor, module,
    ops::{InterpolateMode, InterpolateOptions},
};

use crate::{adapter::Site, layer::Conv2d, weights::Weights};

/// Halves height and width by a convolution of stride 2 (diffusers' `Downsample2D`).
#[derive(Clone, Debug)]
pub(crate) struct Downsample {
    conv: Conv2d,
    /// The VAE pads below and to the right only, the UNet on all sides.
    asymmetric: bool,
}

impl Downsample {
    /// The UNet's: one zero on every side.
    pub(crate) fn symmetric(weights: &Weights<'_>, channels: usize) -> Self {
        let conv = Conv2d::new(&weights.at("conv"), channels, channels, 3).with_stride(2, 1);
        Self {
            conv,
            asymmetric: false,
        }
    }

    /// The VAE's: one zero below and to the right.
    pub(crate) fn asymmetric(weights: &Weights<'_>, channels: usize) -> Self {
        let conv = Conv2d::new(&weights.at("conv"), channels, channels, 3).with_stride(2, 0);
        Self {
            conv,
            asymmetric: true,
        }
    }

    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = if self.asymmetric {
            x.pad((0, 1, 0, 1), 0.0)
        } else {
            x
        };
        self.conv.forward(x)
    }

    pub(crate) fn site(&mut self) -> Site<'_> {
        self.conv.site()
    }
}

/// Enlarges by nearest neighbour, then convolves (diffusers' `Upsample2D`).
#[derive(Clone, Debug)]
pub(crate) struct Upsample {
    conv: Conv2d,
}

impl Upsample {
    pub(crate) fn new(weights: &Weights<'_>, channels: usize) -> Self {
        Self {
            conv: Conv2d::new(&weights.at("conv"), channels, channels, 3),
        }
    }

    /// To `[height, width]`, twice the input's or one less where the way down rounded up.
    pub(crate) fn forward(&self, x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let nearest = InterpolateOptions::new(InterpolateMode::Nearest);
        self.conv
            .forward(module::interpolate(x, nearest.with_output_size(size)))
    }

    pub(crate) fn site(&mut self) -> Site<'_> {
        self.conv.site()
    }
}
