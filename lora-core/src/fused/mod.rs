//! Operations that burn composes of many passes over memory, or computes one element at a time, on the CPU.
//!
//! On burn's flex backend in f32 each runs as one vectorised pass with a backward pass of its own; on every other device
//! and in every other dtype it is burn's own operation (a convolution with a backward pass that keeps less). The layers call these
//! and need not know.

mod autodiff;
mod backend;
mod flex;
mod frozen_convolution;
mod kernel;
mod shape;

use std::f32::consts::FRAC_1_SQRT_2;

use burn::{
    backend::{Dispatch, DispatchDevice, DispatchTensor},
    tensor::{DType, Device, FloatDType, Tensor, activation, module},
};

use crate::{
    adapter::Site,
    recompute::{Piece, recomputed},
};

use backend::CpuOps;
pub use backend::{Heads, Pair, Pointwise, Rows, Window};
use frozen_convolution::FrozenConvolution;

/// What only a second derivative would ask for; LoRA training takes none.
fn first_order_only() -> ! {
    panic!("second derivatives of fused operations are not defined")
}

/// Whether `x` is one of flex's f32 tensors.
fn is_fast<const D: usize>(x: &Tensor<D>) -> bool {
    x.dtype() == DType::F32 && is_flex(x)
}

/// Whether `x` is one of flex's tensors.
fn is_flex<const D: usize>(x: &Tensor<D>) -> bool {
    has_kernels(&x.device())
}

/// Whether the kernels of this module run on `device`: whether it is the CPU.
pub fn has_kernels(device: &Device) -> bool {
    matches!(
        device.clone().inner().as_dispatch(),
        DispatchDevice::Flex(_)
    )
}

/// `x·σ(x)` of every element.
pub fn silu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_fast(&x) {
        pointwise(x, Pointwise::Silu)
    } else {
        activation::silu(x)
    }
}

/// The exact `x·Φ(x)` of every element, computed in f32.
///
/// Not burn's: on its CubeCL backends the gradient of that is the tanh approximation's, in the tensor's own number format, where
/// f16 overflows beyond ±40 and gives NaN. Nothing is kept for the backward pass but `x`.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_fast(&x) {
        return pointwise(x, Pointwise::Gelu);
    }
    let exact = |_: &Elementwise, inputs: Vec<DispatchTensor>| {
        let [x]: [DispatchTensor; 1] = inputs
            .try_into()
            .unwrap_or_else(|_| unreachable!("one input"));
        let x = Tensor::<D>::from_dispatch(x);
        let dtype: FloatDType = x.dtype().into();
        let x = x.cast(DType::F32);
        let phi = ((x.clone() * FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
        (x * phi).cast(dtype).into_dispatch()
    };
    Tensor::from_dispatch(recomputed(&Elementwise, vec![x.into_dispatch()], exact))
}

/// A function of each element.
#[derive(Clone)]
struct Elementwise;

impl Piece for Elementwise {
    fn each_site(&mut self, _: &mut dyn FnMut(Site<'_>)) {}
}

/// `x·σ(1.702·x)` of every element.
pub fn quick_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_fast(&x) {
        pointwise(x, Pointwise::QuickGelu)
    } else {
        activation::sigmoid(x.clone() * 1.702) * x
    }
}

fn pointwise<const D: usize>(x: Tensor<D>, function: Pointwise) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as CpuOps>::pointwise(x.into_dispatch(), function))
}

/// GEGLU (Shazeer 2020): `value·gelu(gate)`, where `x [batch, tokens, 2·width]` holds the values and then the gates.
pub fn geglu(x: Tensor<3>) -> Tensor<3> {
    if is_fast(&x) {
        return Tensor::from_dispatch(<Dispatch as CpuOps>::geglu(x.into_dispatch()));
    }
    let [batch, tokens, double] = x.dims();
    let half = double / 2;
    let value = x.clone().slice([0..batch, 0..tokens, 0..half]);
    value * gelu(x.slice([0..batch, 0..tokens, half..double]))
}

/// Softmax over the last axis.
pub fn softmax<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_fast(&x) {
        return Tensor::from_dispatch(<Dispatch as CpuOps>::softmax_last(x.into_dispatch()));
    }
    activation::softmax(x, D - 1)
}

/// Attention of every head where there is a kernel for it: `softmax(q·kᵀ·scale)·v`, of which nothing is kept for the backward
/// pass but inputs and output. In f32
/// whatever the number format; `None` on other devices.
pub fn attention(
    query: &Tensor<3>,
    key: &Tensor<3>,
    value: &Tensor<3>,
    heads: Heads,
) -> Option<Tensor<3>> {
    is_flex(query).then(|| {
        let dtype: FloatDType = query.dtype().into();
        let single = |x: &Tensor<3>| x.clone().cast(DType::F32).into_dispatch();
        let [query, key, value] = [query, key, value].map(single);
        let (out, _) = <Dispatch as CpuOps>::blocked_attention(query, key, value, heads);
        Tensor::<3>::from_dispatch(out).cast(dtype)
    })
}

/// A frozen linear layer with a pair of thin factors beside it, where there is a kernel for both together:
/// `x·Wᵀ + bias + scale·(x·downᵀ)·upᵀ`, without a tensor for each part of the sum. `None` on other devices and in other number
/// formats.
pub fn low_rank_linear<const D: usize>(
    x: &Tensor<D>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
    [down, up]: [&Tensor<2>; 2],
    scale: f32,
) -> Option<Tensor<D>> {
    let all_fast = is_fast(x) && is_fast(weight) && is_fast(down) && is_fast(up);
    all_fast.then(|| {
        let pair = Pair {
            scale,
            has_bias: bias.is_some(),
            passes_on: true,
        };
        let weight = weight.clone().into_dispatch();
        let bias = bias.map_or_else(|| weight.clone(), |bias| bias.clone().into_dispatch());
        let [down, up] = [down, up].map(|factor| factor.clone().into_dispatch());
        let x = x.clone().into_dispatch();
        let (out, _) = <Dispatch as CpuOps>::low_rank_linear(x, weight, bias, down, up, pair);
        Tensor::from_dispatch(out)
    })
}

/// The convolution of `x [batch, in, height, width]` with a frozen `weight [out, in, size, size]` and `bias`.
///
/// Nothing is kept for the backward pass, where burn's own keeps its input. On the CPU it is matrix products with pieces of the
/// unfolded picture, without turning layouts around on the way in and out.
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: usize,
    padding: usize,
) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    let [_, _, size, _] = weight.dims();
    let window = Window {
        picture: [height, width],
        size,
        stride,
        padding,
    };
    let [x, weight, bias] = [
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
    ];
    Tensor::from_dispatch(<Dispatch as FrozenConvolution>::frozen_convolution(
        x, weight, bias, window,
    ))
}

/// Normalises every group of channels of `x [batch, channels, height, width]`, f32, then scales and shifts each channel.
pub fn group_norm(
    x: Tensor<4>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    groups: usize,
    epsilon: f64,
) -> Tensor<4> {
    let [batch, channels, height, width] = x.dims();
    if is_fast(&x) {
        let rows = Rows::Groups {
            groups,
            channels,
            plane: height * width,
        };
        return normalise(x, weight, bias, rows, epsilon);
    }
    let rows = x.reshape([batch, groups, channels / groups * height * width]);
    let centred = rows.clone() - rows.mean_dim(2);
    let variance = centred.clone().square().mean_dim(2);
    let normal = (centred / (variance + epsilon).sqrt()).reshape([batch, channels, height, width]);
    let affine = [1, channels, 1, 1];
    normal * weight.reshape(affine) + bias.reshape(affine)
}

/// Normalises the last axis of `x [batch, tokens, channels]`, f32, then scales and shifts each channel.
pub fn layer_norm(x: Tensor<3>, weight: Tensor<1>, bias: Tensor<1>, epsilon: f64) -> Tensor<3> {
    if is_fast(&x) {
        let [_, _, channels] = x.dims();
        return normalise(x, weight, bias, Rows::Last { channels }, epsilon);
    }
    module::layer_norm(x, weight, Some(bias), epsilon)
}

fn normalise<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<1>,
    bias: Tensor<1>,
    rows: Rows,
    epsilon: f64,
) -> Tensor<D> {
    Tensor::from_dispatch(<Dispatch as CpuOps>::normalise(
        x.into_dispatch(),
        weight.into_dispatch(),
        bias.into_dispatch(),
        rows,
        epsilon,
    ))
}
