use super::{super::backend::Rows, parallel::fill};

/// Independent partial sums, which the compiler keeps in one register.
const LANES: usize = 16;

impl Rows {
    /// Elements of a row.
    fn length(self) -> usize {
        match self {
            Self::Last { channels } => channels,
            Self::Groups {
                groups,
                channels,
                plane,
            } => channels / groups * plane,
        }
    }
}

/// `(x − mean) / √(variance + epsilon)` of each row, then `· weight + bias`.
pub(in super::super) fn forward(
    x: &[f32],
    weight: &[f32],
    bias: &[f32],
    rows: Rows,
    epsilon: f32,
) -> Vec<f32> {
    let length = rows.length();
    fill(
        x.len(),
        length,
        #[inline(always)]
        |first, out| {
            let x = x[first..first + out.len()].chunks_exact(length);
            for (row, (x, out)) in x.zip(out.chunks_exact_mut(length)).enumerate() {
                let (mean, scale) = moments(x, epsilon);
                match rows {
                    Rows::Last { .. } => {
                        for (((x, weight), bias), out) in x.iter().zip(weight).zip(bias).zip(out) {
                            *out = (x - mean) * scale * weight + bias;
                        }
                    }
                    Rows::Groups {
                        groups,
                        channels,
                        plane,
                    } => {
                        let start = (first / length + row) % groups * (channels / groups);
                        let planes = x.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
                        for (channel, (x, out)) in (start..).zip(planes) {
                            let factor = scale * weight[channel];
                            let shift = bias[channel] - mean * factor;
                            for (x, out) in x.iter().zip(out) {
                                *out = x * factor + shift;
                            }
                        }
                    }
                }
            }
        },
    )
}

/// The gradient of [`forward`] in `x`: with g = grad · weight and x̂ the normalised row,
/// `(g − mean(g) − x̂ · mean(g·x̂)) / √(variance + epsilon)`.
pub(in super::super) fn backward(
    x: &[f32],
    weight: &[f32],
    grad: &[f32],
    rows: Rows,
    epsilon: f32,
) -> Vec<f32> {
    let length = rows.length();
    fill(
        x.len(),
        length,
        #[inline(always)]
        |first, out| {
            let range = first..first + out.len();
            let inputs = x[range.clone()]
                .chunks_exact(length)
                .zip(grad[range].chunks_exact(length));
            for (row, ((x, grad), out)) in inputs.zip(out.chunks_exact_mut(length)).enumerate() {
                let (mean, scale) = moments(x, epsilon);
                // `out` holds g until it is turned into the gradient in place.
                match rows {
                    Rows::Last { .. } => {
                        for ((grad, weight), out) in grad.iter().zip(weight).zip(&mut *out) {
                            *out = grad * weight;
                        }
                    }
                    Rows::Groups {
                        groups,
                        channels,
                        plane,
                    } => {
                        let start = (first / length + row) % groups * (channels / groups);
                        let planes = grad.chunks_exact(plane).zip(out.chunks_exact_mut(plane));
                        for (channel, (grad, out)) in (start..).zip(planes) {
                            for (grad, out) in grad.iter().zip(out) {
                                *out = grad * weight[channel];
                            }
                        }
                    }
                }
                let count = length as f32;
                let plain = sum(
                    out,
                    #[inline(always)]
                    |_, g| g,
                    x,
                ) / count;
                let along = sum(
                    out,
                    #[inline(always)]
                    |x, g| g * (x - mean),
                    x,
                ) * scale
                    / count;
                for (x, out) in x.iter().zip(out) {
                    *out = (*out - plain - (x - mean) * scale * along) * scale;
                }
            }
        },
    )
}

/// The row's mean, and `1 / √(variance + epsilon)`.
#[inline(always)]
fn moments(x: &[f32], epsilon: f32) -> (f32, f32) {
    let count = x.len() as f32;
    let mean = sum(
        x,
        #[inline(always)]
        |_, x| x,
        x,
    ) / count;
    let variance = sum(
        x,
        #[inline(always)]
        |_, x| (x - mean) * (x - mean),
        x,
    ) / count;
    (mean, (variance + epsilon).sqrt().recip())
}

/// The sum of `term(x, y)`.
#[inline(always)]
fn sum(y: &[f32], term: impl Fn(f32, f32) -> f32, x: &[f32]) -> f32 {
    let (y_runs, y_rest) = y.as_chunks::<LANES>();
    let (x_runs, x_rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (x, y) in x_runs.iter().zip(y_runs) {
        for ((lane, x), y) in lanes.iter_mut().zip(x).zip(y) {
            *lane += term(*x, *y);
        }
    }
    let rest: f32 = x_rest.iter().zip(y_rest).map(|(x, y)| term(*x, *y)).sum();
    lanes.iter().sum::<f32>() + rest
}
