//! The convolution with frozen weights, as a burn backend extension: the shape of its input is all that its backward pass needs, where
//! burn's own convolution keeps the input itself.

#[cfg(feature = "cube")]
use burn::backend::Cube;
use burn::{
    backend::{
        Autodiff, Backend, Flex, TensorMetadata,
        autodiff::{
            checkpoint::{base::Checkpointer, strategy::CheckpointStrategy},
            grads::Gradients,
            ops::{Backward, Ops, OpsKind},
        },
        backend_extension,
        tensor::FloatTensor,
    },
    tensor::{DType, ops::ConvOptions},
};

use super::{backend::Window, first_order_only, flex};

/// A convolution whose weights take no gradient.
#[backend_extension(Flex, Cube: cfg(feature = "cube"), Autodiff)]
pub trait FrozenConvolution: Backend {
    /// The convolution of `x [batch, inputs, height, width]` with a constant `weight [outputs, inputs, size, size]`, plus a
    /// constant `bias [outputs]`.
    fn frozen_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self>;
    /// The gradient of [`Self::frozen_convolution`] in `x`.
    fn frozen_convolution_backward(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self>;
}

impl FrozenConvolution for Flex {
    fn frozen_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        if x.dtype() == DType::F32 {
            flex::convolve(x, weight, bias, window)
        } else {
            forward::<Self>(x, weight, bias, window)
        }
    }

    fn frozen_convolution_backward(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        if grad.dtype() == DType::F32 {
            flex::convolve_backward(weight, grad, window)
        } else {
            backward::<Self>(weight, grad, window)
        }
    }
}

#[cfg(feature = "cube")]
impl FrozenConvolution for Cube {
    fn frozen_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        forward::<Self>(x, weight, bias, window)
    }

    fn frozen_convolution_backward(
        weight: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        backward::<Self>(weight, grad, window)
    }
}

/// Burn's own.
fn forward<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: FloatTensor<B>,
    window: Window,
) -> FloatTensor<B> {
    B::conv2d(x, weight, Some(bias), options(window))
}

fn backward<B: Backend>(
    weight: FloatTensor<B>,
    grad: FloatTensor<B>,
    window: Window,
) -> FloatTensor<B> {
    let [batch, _, _, _] = grad.shape().dims();
    let [_, inputs, _, _] = weight.shape().dims();
    let [height, width] = window.picture;
    // Of the input only the shape is looked at: one number stands for all of it.
    let one = B::float_zeros([1; 4].into(), &grad.device(), grad.dtype().into());
    let x = B::float_expand(one, [batch, inputs, height, width].into());
    B::conv2d_x_backward(x, weight, grad, options(window))
}

fn options(window: Window) -> ConvOptions<2> {
    ConvOptions::new([window.stride; 2], [window.padding; 2], [1, 1], 1)
}

#[derive(Debug)]
struct FrozenBackward;

impl<B: FrozenConvolution> Backward<B, 1> for FrozenBackward {
    type State = (FloatTensor<B>, Window);

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let grad = grads.consume::<B>(&ops.node);
        let ([parent], (weight, window)) = (ops.parents, ops.state);
        if let Some(parent) = parent {
            let gradient = B::frozen_convolution_backward(weight, grad, window);
            grads.register::<B>(parent.id, gradient);
        }
    }
}

impl<B: FrozenConvolution, C: CheckpointStrategy> FrozenConvolution for Autodiff<B, C> {
    fn frozen_convolution(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        let node = x.node();
        let (weight, bias) = (weight.into_primitive(), bias.into_primitive());
        let output = B::frozen_convolution(x.into_primitive(), weight.clone(), bias, window);
        match FrozenBackward
            .prepare::<C>([node])
            .compute_bound()
            .stateful()
        {
            OpsKind::Tracked(prep) => prep.finish((weight, window), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        }
    }

    fn frozen_convolution_backward(
        _: FloatTensor<Self>,
        _: FloatTensor<Self>,
        _: Window,
    ) -> FloatTensor<Self> {
        first_order_only()
    }
}
