use super::{super::backend::Pointwise, exp::exp, parallel::fill};

/// The factor inside the sigmoid of OpenAI CLIP's GELU.
const QUICK: f32 = 1.702;

/// `function` of each element.
pub(in super::super) fn forward(x: &[f32], function: Pointwise) -> Vec<f32> {
    match function {
        Pointwise::Silu => map(
            x,
            #[inline(always)]
            |x| x * sigmoid(x),
        ),
        Pointwise::Gelu => map(
            x,
            #[inline(always)]
            |x| x * normal(x).0,
        ),
        Pointwise::QuickGelu => map(
            x,
            #[inline(always)]
            |x| x * sigmoid(QUICK * x),
        ),
    }
}

/// `grad` times the derivative of `function` at each element.
pub(in super::super) fn backward(x: &[f32], grad: &[f32], function: Pointwise) -> Vec<f32> {
    match function {
        Pointwise::Silu => zip(
            x,
            grad,
            #[inline(always)]
            |x, grad| grad * gate_slope(x, 1.0),
        ),
        Pointwise::Gelu => zip(
            x,
            grad,
            #[inline(always)]
            |x, grad| grad * gelu_slope(x),
        ),
        Pointwise::QuickGelu => zip(
            x,
            grad,
            #[inline(always)]
            |x, grad| grad * gate_slope(x, QUICK),
        ),
    }
}

/// `value·gelu(gate)` for rows that hold `width` values and then `width` gates.
pub(in super::super) fn geglu(x: &[f32], width: usize) -> Vec<f32> {
    fill(
        x.len() / 2,
        width,
        #[inline(always)]
        |first, out| {
            let x = &x[2 * first..2 * (first + out.len())];
            for (x, out) in x.chunks_exact(2 * width).zip(out.chunks_exact_mut(width)) {
                let (value, gate) = x.split_at(width);
                for ((value, gate), out) in value.iter().zip(gate).zip(out) {
                    *out = value * gate * normal(*gate).0;
                }
            }
        },
    )
}

/// The gradient of [`geglu`]: `grad·gelu(gate)` for the values, `grad·value·gelu'(gate)` for the gates.
pub(in super::super) fn geglu_backward(x: &[f32], grad: &[f32], width: usize) -> Vec<f32> {
    fill(
        x.len(),
        2 * width,
        #[inline(always)]
        |first, out| {
            let x = x[first..first + out.len()].chunks_exact(2 * width);
            let from = first / 2;
            let grad = grad[from..from + out.len() / 2].chunks_exact(width);
            for ((x, grad), out) in x.zip(grad).zip(out.chunks_exact_mut(2 * width)) {
                let (value, gate) = x.split_at(width);
                let (to_value, to_gate) = out.split_at_mut(width);
                let inputs = value.iter().zip(gate).zip(grad);
                for (((value, gate), grad), (to_value, to_gate)) in
                    inputs.zip(to_value.iter_mut().zip(to_gate))
                {
                    let (below, density) = normal(*gate);
                    *to_value = grad * gate * below;
                    *to_gate = grad * value * (below + gate * density);
                }
            }
        },
    )
}

#[inline(always)]
fn map(x: &[f32], function: impl Fn(f32) -> f32 + Sync) -> Vec<f32> {
    fill(
        x.len(),
        1,
        #[inline(always)]
        |first, out| {
            for (x, out) in x[first..first + out.len()].iter().zip(out) {
                *out = function(*x);
            }
        },
    )
}

#[inline(always)]
fn zip(x: &[f32], grad: &[f32], function: impl Fn(f32, f32) -> f32 + Sync) -> Vec<f32> {
    fill(
        x.len(),
        1,
        #[inline(always)]
        |first, out| {
            let range = first..first + out.len();
            for ((x, grad), out) in x[range.clone()].iter().zip(&grad[range]).zip(out) {
                *out = function(*x, *grad);
            }
        },
    )
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The derivative of `x·σ(factor·x)`.
#[inline(always)]
fn gate_slope(x: f32, factor: f32) -> f32 {
    let gate = sigmoid(factor * x);
    gate * (1.0 + factor * x * (1.0 - gate))
}

#[inline(always)]
fn gelu_slope(x: f32) -> f32 {
    let (below, density) = normal(x);
    below + x * density
}

/// The standard normal distribution: the part below `x`, and the density at `x`.
///
/// Abramowitz & Stegun 7.1.26, within 1.5e-7: a unit in the last place of numbers near 1.
#[inline(always)]
fn normal(x: f32) -> (f32, f32) {
    const ROOT_OF_HALF: f32 = std::f32::consts::FRAC_1_SQRT_2;
    const DENSITY_AT_0: f32 = 0.398_942_3;
    let bell = exp(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * ROOT_OF_HALF * x.abs());
    let tail = t
        * (0.254_829_6
            + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152 + t * 1.061_405_4))));
    let beyond = 0.5 * tail * bell;
    (
        if x < 0.0 { beyond } else { 1.0 - beyond },
        DENSITY_AT_0 * bell,
    )
}
