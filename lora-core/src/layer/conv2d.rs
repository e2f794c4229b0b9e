use burn::tensor::{DType, Device, Tensor, ops::ConvOptions};

use crate::{
    adapter::{ConvGeometry, Site, SiteWeight, Slot},
    frozen_weight::FrozenWeight,
    fused,
    weights::Weights,
};

/// A frozen 2-D convolution (square kernel, symmetric padding) with a slot for adapters.
#[derive(Clone, Debug)]
pub struct Conv2d {
    path: String,
    /// `[out, in, kernel, kernel]`.
    weight: FrozenWeight<4>,
    bias: Tensor<1>,
    stride: usize,
    padding: usize,
    adapters: Slot,
}

impl Conv2d {
    /// A convolution of stride 1 that keeps height and width.
    pub fn new(weights: &Weights<'_>, inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self {
            path: weights.path().to_owned(),
            weight: weights.frozen("weight", [outputs, inputs, kernel, kernel]),
            bias: weights.tensor("bias", [outputs]),
            stride: 1,
            padding: kernel / 2,
            adapters: Slot::new(),
        }
    }

    /// The same convolution with another stride and zero padding on every side.
    pub fn with_stride(self, stride: usize, padding: usize) -> Self {
        Self {
            stride,
            padding,
            ..self
        }
    }

    /// `[batch, in, height, width]` to `[batch, out, height', width']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let (weight, bias) = (self.weight.tensor(), self.bias.clone());
        let base = fused::conv2d(x.clone(), weight.clone(), bias, self.stride, self.padding);
        let [_, inputs, height, width] = weight.dims();
        let geometry = ConvGeometry {
            receptive: [inputs, height, width],
            options: ConvOptions::new([self.stride; 2], [self.padding; 2], [1, 1], 1),
        };
        self.adapters.iter().fold(base.clone(), |sum, adapter| {
            let plain = || {
                let outputs = self.bias.dims()[0];
                base.clone() - self.bias.clone().reshape([1, outputs, 1, 1])
            };
            match adapter.conv2d(x.clone(), &weight, &geometry, plain) {
                Some(correction) => sum + correction,
                None => sum,
            }
        })
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.weight.device()
    }

    /// What the layer computes in.
    pub fn dtype(&self) -> DType {
        self.weight.dtype()
    }

    /// The adapter slot, for [`crate::adapter::Sites`].
    pub fn site(&mut self) -> Site<'_> {
        Site {
            path: &self.path,
            weight: SiteWeight::Conv2d(&mut self.weight),
            slot: &mut self.adapters,
        }
    }
}
