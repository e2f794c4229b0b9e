use super::{exp::exp, parallel::fill};

/// Independent partial sums, which the compiler keeps in one register.
const LANES: usize = 16;

/// Softmax of each run of `width` elements.
pub(in super::super) fn forward(x: &[f32], width: usize) -> Vec<f32> {
    fill(
        x.len(),
        width,
        #[inline(always)]
        |first, out| {
            let x = &x[first..first + out.len()];
            for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                let largest = largest(x);
                for (x, out) in x.iter().zip(&mut *out) {
                    *out = exp(x - largest);
                }
                let scale = sum(out).recip();
                for out in out {
                    *out *= scale;
                }
            }
        },
    )
}

/// `y·(grad − Σ grad·y)` of each run of `width` elements of the output `y`.
pub(in super::super) fn backward(output: &[f32], grad: &[f32], width: usize) -> Vec<f32> {
    fill(
        output.len(),
        width,
        #[inline(always)]
        |first, out| {
            let range = first..first + out.len();
            let output = output[range.clone()].chunks_exact(width);
            let grad = grad[range].chunks_exact(width);
            for ((y, grad), out) in output.zip(grad).zip(out.chunks_exact_mut(width)) {
                let mean = dot(y, grad);
                for ((y, grad), out) in y.iter().zip(grad).zip(out) {
                    *out = y * (grad - mean);
                }
            }
        },
    )
}

#[inline(always)]
pub(super) fn largest(x: &[f32]) -> f32 {
    let (runs, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::MIN; LANES];
    for run in runs {
        for (lane, x) in lanes.iter_mut().zip(run) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    lanes
        .iter()
        .chain(rest)
        .fold(f32::MIN, |largest, x| largest.max(*x))
}

#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    let (runs, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for run in runs {
        for (lane, x) in lanes.iter_mut().zip(run) {
            *lane += x;
        }
    }
    lanes.iter().chain(rest).sum()
}

#[inline(always)]
pub(super) fn dot(left: &[f32], right: &[f32]) -> f32 {
    let (left_runs, left_rest) = left.as_chunks::<LANES>();
    let (right_runs, right_rest) = right.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (left, right) in left_runs.iter().zip(right_runs) {
        for ((lane, left), right) in lanes.iter_mut().zip(left).zip(right) {
            *lane += left * right;
        }
    }
    let rest: f32 = left_rest
        .iter()
        .zip(right_rest)
        .map(|(left, right)| left * right)
        .sum();
    lanes.iter().sum::<f32>() + rest
}
