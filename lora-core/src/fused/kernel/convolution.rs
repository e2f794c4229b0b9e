//! A convolution with frozen weights, and its gradient in the picture, as matrix products over the unfolded picture, a piece
//! of which exists at a time.

use std::ops::Range;

use rayon::prelude::*;

use super::{
    super::backend::Window,
    gemm::{Into, Layout, Threads, multiply},
    unfold::{fold, unfold_rows},
};

/// Elements of the unfolded picture that a thread holds at once, 4 MiB. The pieces do not depend on the number of threads, so
/// neither do the sums.
const ELEMENTS_AT_ONCE: usize = 1 << 20;

/// Elements of an unfolded picture up to which it is made whole: then each weight is read once.
const WHOLE: usize = 1 << 23;

/// Channels of a convolution's weight, `[outputs, inputs, size, size]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Channels {
    pub(in super::super) inputs: usize,
    pub(in super::super) outputs: usize,
}

/// `x [batch, inputs, height, width]` to `[batch, outputs, out_height, out_width]`.
pub(in super::super) fn forward(
    x: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    channels: Channels,
    window: Window,
) -> Vec<f32> {
    let picture = channels.inputs * window.pixels();
    let plane = window.out_pixels();
    let item = channels.outputs * plane;
    let mut out = vec![0.0; x.len() / picture * item];
    for (x, out) in x.chunks_exact(picture).zip(out.chunks_exact_mut(item)) {
        if window.is_pointwise() {
            product_whole(x, weight, channels.inputs, plane, out);
        } else if channels.inputs * window.places() * plane <= WHOLE {
            let columns = unfolded(x, channels.inputs, window);
            product_whole(
                &columns,
                weight,
                channels.inputs * window.places(),
                plane,
                out,
            );
        } else {
            in_pieces(x, weight, channels, window, out);
        }
        if let Some(bias) = bias {
            let planes = out.par_chunks_exact_mut(plane).zip(bias);
            planes.for_each(|(plane, bias)| plane.iter_mut().for_each(|x| *x += bias));
        }
    }
    out
}

/// `weight · columns`, shared out over the threads.
fn product_whole(columns: &[f32], weight: &[f32], rows: usize, plane: usize, out: &mut [f32]) {
    let outputs = out.len() / plane;
    multiply(
        (out, Layout::rows(0, [outputs, plane], plane)),
        Into::Fresh,
        (weight, Layout::rows(0, [outputs, rows], rows)),
        (columns, Layout::rows(0, [rows, plane], plane)),
        1.0,
        Threads::Pool,
    );
}

/// The whole unfolded picture, `[inputs · size², out pixels]`.
fn unfolded(x: &[f32], inputs: usize, window: Window) -> Vec<f32> {
    let plane = window.out_pixels();
    let [rows, _] = window.output();
    let mut columns = vec![0.0; inputs * window.places() * plane];
    columns
        .par_chunks_exact_mut(window.places() * plane)
        .zip(x.par_chunks_exact(window.pixels()))
        .for_each(|(columns, channel)| unfold_rows(channel, window, 0..rows, columns));
    columns
}

/// Rows of the result, some at a time, each thread with its own.
fn in_pieces(x: &[f32], weight: &[f32], channels: Channels, window: Window, out: &mut [f32]) {
    let [out_height, out_width] = window.output();
    let depth = channels.inputs * window.places();
    let rows = (ELEMENTS_AT_ONCE / (depth * out_width)).clamp(1, out_height);
    let starts: Vec<usize> = (0..out_height).step_by(rows).collect();
    let pieces: Vec<(Range<usize>, Vec<f32>)> = starts
        .into_par_iter()
        .map_init(Vec::new, |columns: &mut Vec<f32>, start| {
            let rows = start..(start + rows).min(out_height);
            let pixels = rows.len() * out_width;
            columns.resize(depth * pixels, 0.0);
            for (channel, columns) in x
                .chunks_exact(window.pixels())
                .zip(columns.chunks_exact_mut(window.places() * pixels))
            {
                unfold_rows(channel, window, rows.clone(), columns);
            }
            let mut piece = vec![0.0; channels.outputs * pixels];
            multiply(
                (
                    &mut piece,
                    Layout::rows(0, [channels.outputs, pixels], pixels),
                ),
                Into::Fresh,
                (weight, Layout::rows(0, [channels.outputs, depth], depth)),
                (columns, Layout::rows(0, [depth, pixels], pixels)),
                1.0,
                Threads::One,
            );
            (start * out_width..start * out_width + pixels, piece)
        })
        .collect();
    let planes = out.par_chunks_exact_mut(out_height * out_width);
    planes.enumerate().for_each(|(channel, plane)| {
        for (pixels, piece) in &pieces {
            let from = channel * pixels.len();
            plane[pixels.clone()].copy_from_slice(&piece[from..from + pixels.len()]);
        }
    });
}

/// The gradient of [`forward`] in `x`, from the gradient of its result.
pub(in super::super) fn backward(
    grad: &[f32],
    weight: &[f32],
    channels: Channels,
    window: Window,
) -> Vec<f32> {
    let plane = window.out_pixels();
    let item = channels.outputs * plane;
    // The weights are frozen, so the gradient is a convolution with them turned around. Turning pays where the picture is
    // larger than the weights.
    if window.stride == 1 && window.padding < window.size && plane > channels.outputs {
        let turned = turned(weight, channels, window.places());
        let [height, width] = window.output();
        let back = Window {
            picture: [height, width],
            padding: window.size - 1 - window.padding,
            ..window
        };
        let channels = Channels {
            inputs: channels.outputs,
            outputs: channels.inputs,
        };
        return forward(grad, &turned, None, channels, back);
    }
    let picture = channels.inputs * window.pixels();
    let mut out = vec![0.0; grad.len() / item * picture];
    let group = (ELEMENTS_AT_ONCE / (window.places() * plane)).clamp(1, 64);
    for (grad, out) in grad.chunks_exact(item).zip(out.chunks_exact_mut(picture)) {
        let groups = out.par_chunks_mut(group * window.pixels());
        groups
            .enumerate()
            .for_each_init(Vec::new, |columns: &mut Vec<f32>, (index, out)| {
                let first = index * group;
                let rows = out.len() / window.pixels() * window.places();
                columns.resize(rows * plane, 0.0);
                let depth = channels.inputs * window.places();
                let weights =
                    Layout::rows(first * window.places(), [channels.outputs, rows], depth);
                multiply(
                    (columns, Layout::rows(0, [rows, plane], plane)),
                    Into::Fresh,
                    (weight, weights.transposed()),
                    (grad, Layout::rows(0, [channels.outputs, plane], plane)),
                    1.0,
                    Threads::One,
                );
                let columns = columns.chunks_exact(window.places() * plane);
                for (columns, out) in columns.zip(out.chunks_exact_mut(window.pixels())) {
                    fold(columns, window, out);
                }
            });
    }
    out
}

/// `[outputs, inputs, places]` to `[inputs, outputs, places]` with the places in reverse.
fn turned(weight: &[f32], channels: Channels, places: usize) -> Vec<f32> {
    let Channels { inputs, outputs } = channels;
    let mut out = vec![0.0; weight.len()];
    let rows = out.par_chunks_exact_mut(outputs * places);
    rows.enumerate().for_each(|(input, row)| {
        for (output, turned) in row.chunks_exact_mut(places).enumerate() {
            let from = (output * inputs + input) * places;
            turned.copy_from_slice(&weight[from..from + places]);
            turned.reverse();
        }
    });
    out
}
