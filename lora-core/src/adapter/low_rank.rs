use burn::tensor::{Tensor, module, ops::ConvOptions};

/// A low-rank correction `scale · up(down(x))` of a frozen layer (LoRA, Hu et al. 2021).
///
/// Both factors are matrices, also for convolutions: they take their 4-D shape only where they are applied and in files.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// `[rank, in · kernel_height · kernel_width]`, f32.
    pub down: Tensor<2>,
    /// `[out, rank]`, f32.
    pub up: Tensor<2>,
    /// Numerator of the scale.
    pub alpha: f32,
    /// What the scale is multiplied by: 1 while training.
    pub strength: f32,
}

impl LowRank {
    /// `strength · alpha / rank`, by which `up·down` is multiplied.
    pub fn scale(&self) -> f32 {
        let [rank, _] = self.down.dims();
        self.strength * self.alpha / rank as f32
    }

    /// The correction of a linear layer: `[.., in]` to `[.., out]`.
    pub fn linear<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let dtype = x.dtype();
        let hidden = module::linear(x, self.down.clone().cast(dtype).transpose(), None);
        module::linear(hidden, self.scaled_up().cast(dtype).transpose(), None)
    }

    /// The correction of a convolution: `down` is convolved like the frozen weight, `up` is 1×1.
    ///
    /// `receptive` is `[in, kernel_height, kernel_width]`; `options` are those of the frozen convolution.
    pub fn conv2d(
        &self,
        x: Tensor<4>,
        receptive: [usize; 3],
        options: ConvOptions<2>,
    ) -> Tensor<4> {
        let dtype = x.dtype();
        let [rank, _] = self.down.dims();
        let [outputs, _] = self.up.dims();
        let [inputs, height, width] = receptive;
        if (height, width) == (1, 1) && options.stride == [1, 1] {
            return self.pointwise(x);
        }
        let down = self
            .down
            .clone()
            .cast(dtype)
            .reshape([rank, inputs, height, width]);
        let up = self.scaled_up().cast(dtype).reshape([outputs, rank, 1, 1]);
        let pointwise = ConvOptions::new([1, 1], [0, 0], [1, 1], 1);
        module::conv2d(module::conv2d(x, down, None, options), up, None, pointwise)
    }

    /// The correction of a 1×1 convolution: two matrix products over the pixels.
    fn pointwise(&self, x: Tensor<4>) -> Tensor<4> {
        let dtype = x.dtype();
        let [batch, inputs, height, width] = x.dims();
        let [outputs, _] = self.up.dims();
        let hidden = self.down.clone().cast(dtype).unsqueeze().matmul(x.reshape([
            batch,
            inputs,
            height * width,
        ]));
        let out: Tensor<3> = self.scaled_up().cast(dtype).unsqueeze().matmul(hidden);
        out.reshape([batch, outputs, height, width])
    }

    /// `scale · up·down`, `[out, in · kernel_height · kernel_width]`: what merging adds to the frozen weight.
    pub fn delta(&self) -> Tensor<2> {
        self.scaled_up().matmul(self.down.clone())
    }

    /// Scaling the factor costs `out · rank`, scaling the output `batch · tokens · out`.
    fn scaled_up(&self) -> Tensor<2> {
        let scale = self.scale();
        if (scale - 1.0).abs() < f32::EPSILON {
            self.up.clone()
        } else {
            self.up.clone() * scale
        }
    }
}
