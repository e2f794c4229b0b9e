use super::{super::backend::Window, parallel::fill};

/// The columns of a convolution: for each item, channel and place in the window, the plane of pixels it meets.
///
/// `x` is `[batch, channels, height, width]`; gives `[batch, channels · size², out_height · out_width]`, zero where the
/// window leaves the picture.
pub(in super::super) fn forward(x: &[f32], window: Window) -> Vec<f32> {
    let [height, width] = window.picture;
    let [out_height, out_width] = window.output();
    let (plane, places) = (out_height * out_width, window.size * window.size);
    fill(
        x.len() / (height * width) * places * plane,
        plane,
        #[inline(always)]
        |first, out| {
            for (index, out) in (first / plane..).zip(out.chunks_exact_mut(plane)) {
                let (channel, place) = (index / places, index % places);
                let x = &x[channel * height * width..(channel + 1) * height * width];
                for (out_y, out) in out.chunks_exact_mut(out_width).enumerate() {
                    let Some((y, from, to, x_from)) = window.row(place, out_y) else {
                        continue;
                    };
                    let row = &x[y * width..(y + 1) * width];
                    if window.stride == 1 {
                        out[from..to].copy_from_slice(&row[x_from..x_from + to - from]);
                    } else {
                        for (step, out) in out[from..to].iter_mut().enumerate() {
                            *out = row[x_from + step * window.stride];
                        }
                    }
                }
            }
        },
    )
}

/// The transpose of [`forward`]: adds every column's element to the pixel it was taken from.
pub(in super::super) fn backward(columns: &[f32], window: Window) -> Vec<f32> {
    let [height, width] = window.picture;
    let [out_height, out_width] = window.output();
    let (plane, places) = (out_height * out_width, window.size * window.size);
    fill(
        columns.len() / (places * plane) * height * width,
        height * width,
        #[inline(always)]
        |first, out| {
            let channels = first / (height * width)..;
            for (channel, out) in channels.zip(out.chunks_exact_mut(height * width)) {
                for place in 0..places {
                    let index = channel * places + place;
                    let column = &columns[index * plane..(index + 1) * plane];
                    for (out_y, column) in column.chunks_exact(out_width).enumerate() {
                        let Some((y, from, to, x_from)) = window.row(place, out_y) else {
                            continue;
                        };
                        let row = &mut out[y * width..(y + 1) * width];
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
        },
    )
}

impl Window {
    /// For one place of the window and one output row: the input row it meets, the first output column that stays inside
    /// and the one after the last, and the input column of that first one. `None` when the row lies outside.
    #[inline(always)]
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
