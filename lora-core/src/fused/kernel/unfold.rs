//! The pixels that a convolution's window meets, laid out as the rows of a matrix.

use std::ops::Range;

use super::super::backend::Window;

/// The `rows` of a result's planes for one channel: for each place in the window, the pixel it meets, zero where it leaves the
/// picture. `columns` is `[size², rows · out_width]`.
pub(super) fn unfold_rows(
    channel: &[f32],
    window: Window,
    rows: Range<usize>,
    columns: &mut [f32],
) {
    let [_, width] = window.picture;
    let [_, out_width] = window.output();
    let pixels = rows.len() * out_width;
    for (place, column) in columns.chunks_exact_mut(pixels).enumerate() {
        for (out_y, out) in rows.clone().zip(column.chunks_exact_mut(out_width)) {
            let Some((y, from, to, x_from)) = window.row(place, out_y) else {
                out.fill(0.0);
                continue;
            };
            let row = &channel[y * width..(y + 1) * width];
            out[..from].fill(0.0);
            out[to..].fill(0.0);
            if window.stride == 1 {
                out[from..to].copy_from_slice(&row[x_from..x_from + to - from]);
            } else {
                for (step, out) in out[from..to].iter_mut().enumerate() {
                    *out = row[x_from + step * window.stride];
                }
            }
        }
    }
}

/// The transpose of [`unfold_rows`] over all rows: adds every element of `columns` to the pixel it was taken from.
pub(super) fn fold(columns: &[f32], window: Window, channel: &mut [f32]) {
    let [_, width] = window.picture;
    let [_, out_width] = window.output();
    for (place, column) in columns.chunks_exact(window.out_pixels()).enumerate() {
        for (out_y, column) in column.chunks_exact(out_width).enumerate() {
            let Some((y, from, to, x_from)) = window.row(place, out_y) else {
                continue;
            };
            let row = &mut channel[y * width..(y + 1) * width];
            if window.stride == 1 {
                let row = &mut row[x_from..x_from + to - from];
                for (row, column) in row.iter_mut().zip(&column[from..to]) {
                    *row += column;
                }
            } else {
                for (step, column) in column[from..to].iter().enumerate() {
                    row[x_from + step * window.stride] += column;
                }
            }
        }
    }
}

impl Window {
    /// Pixels of a channel.
    pub(super) fn pixels(self) -> usize {
        let [height, width] = self.picture;
        height * width
    }

    /// Pixels of a channel of the result.
    pub(super) fn out_pixels(self) -> usize {
        let [height, width] = self.output();
        height * width
    }

    /// Places in the window.
    pub(super) fn places(self) -> usize {
        self.size * self.size
    }

    /// Whether the picture is its own unfolding.
    pub(super) fn is_pointwise(self) -> bool {
        self.size == 1 && self.stride == 1 && self.padding == 0
    }

    /// For one place of the window and one output row: the input row it meets, the first output column that stays inside
    /// and the one after the last, and the input column of that first one. `None` when the row lies outside.
    fn row(self, place: usize, out_y: usize) -> Option<(usize, usize, usize, usize)> {
        let [height, width] = self.picture;
        let [_, out_width] = self.output();
        let (window_y, window_x) = (place / self.size, place % self.size);
        let y = (out_y * self.stride + window_y)
            .checked_sub(self.padding)
            .filter(|&y| y < height)?;
        let from = self.padding.saturating_sub(window_x).div_ceil(self.stride);
        // The last input column is met at out_x · stride + window_x − padding ≤ width − 1.
        let to = (width + self.padding)
            .checked_sub(window_x + 1)
            .map_or(0, |last| last / self.stride + 1)
            .min(out_width);
        (from < to).then(|| (y, from, to, from * self.stride + window_x - self.padding))
    }
}
