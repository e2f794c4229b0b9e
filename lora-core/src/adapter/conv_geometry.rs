use burn::tensor::{Tensor, ops::ConvOptions};

/// How a frozen convolution looks at its input; a change of its weight looks the same way.
#[derive(Clone, Debug)]
pub(crate) struct ConvGeometry {
    /// `[in, kernel_height, kernel_width]`.
    pub(crate) receptive: [usize; 3],
    /// Stride, padding, dilation and groups.
    pub(crate) options: ConvOptions<2>,
}

impl ConvGeometry {
    /// Whether it is one matrix product over the pixels.
    pub(crate) fn is_pointwise(&self) -> bool {
        let [_, height, width] = self.receptive;
        (height, width) == (1, 1) && self.options.stride == [1, 1]
    }

    /// A matrix `[rows, in · kernel_height · kernel_width]` as the kernel of a convolution with so many outputs.
    pub(crate) fn kernel(&self, matrix: Tensor<2>) -> Tensor<4> {
        let [rows, _] = matrix.dims();
        let [inputs, height, width] = self.receptive;
        matrix.reshape([rows, inputs, height, width])
    }

    /// The same for groups of `inputs` channels.
    pub(crate) fn with_inputs(&self, inputs: usize) -> Self {
        let [_, height, width] = self.receptive;
        Self {
            receptive: [inputs, height, width],
            options: self.options.clone(),
        }
    }
}
