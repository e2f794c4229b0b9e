//! Lines with smooth edges.

/// Calls `pixel(x, y, coverage)` for the pixels under a line of this width through `path`, with round caps and joints.
/// Each pixel is reported once, so that a translucent line is no darker where it crosses itself. A path of one point is
/// a disc. Pixels outside `size = (width, height)` are left out.
pub(super) fn cover(
    path: &[(i32, i32)],
    width: f32,
    size: (u32, u32),
    mut pixel: impl FnMut(i32, i32, f32),
) {
    let Some(mut mask) = Mask::around(path, width, size) else {
        return;
    };
    if let [point] = path {
        mask.draw(*point, *point, width / 2.0);
    }
    for ends in path.windows(2) {
        mask.draw(ends[0], ends[1], width / 2.0);
    }
    let columns = (mask.right - mask.left) as usize;
    for (row, coverages) in (mask.top..mask.bottom).zip(mask.coverage.chunks_exact(columns)) {
        for (column, &coverage) in (mask.left..mask.right).zip(coverages) {
            if coverage > 0.0 {
                pixel(column, row, coverage);
            }
        }
    }
}

/// How much of each pixel of a rectangle the line covers.
struct Mask {
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
    coverage: Vec<f32>,
}

impl Mask {
    /// An empty mask over the part of the picture that the path can touch; `None` where that is nothing.
    fn around(path: &[(i32, i32)], width: f32, (columns, rows): (u32, u32)) -> Option<Self> {
        let reach = (width / 2.0).ceil() as i32 + 1;
        let (xs, ys) = (
            path.iter().map(|point| point.0),
            path.iter().map(|point| point.1),
        );
        let left = (xs.clone().min()? - reach).max(0);
        let top = (ys.clone().min()? - reach).max(0);
        let right = (xs.max()? + reach + 1).min(columns as i32);
        let bottom = (ys.max()? + reach + 1).min(rows as i32);
        let area = (right > left && bottom > top)
            .then(|| (right - left) as usize * (bottom - top) as usize)?;
        Some(Self {
            left,
            top,
            right,
            bottom,
            coverage: vec![0.0; area],
        })
    }

    /// Draws one straight piece of the line.
    fn draw(&mut self, from: (i32, i32), to: (i32, i32), radius: f32) {
        let reach = radius.ceil() as i32 + 1;
        let rows = (from.1.min(to.1) - reach).max(self.top)
            ..(from.1.max(to.1) + reach + 1).min(self.bottom);
        for y in rows {
            let columns = (from.0.min(to.0) - reach).max(self.left)
                ..(from.0.max(to.0) + reach + 1).min(self.right);
            for x in columns {
                let coverage = (radius + 0.5 - distance((x, y), from, to)).clamp(0.0, 1.0);
                let index = (y - self.top) as usize * (self.right - self.left) as usize
                    + (x - self.left) as usize;
                self.coverage[index] = self.coverage[index].max(coverage);
            }
        }
    }
}

/// The distance from a point to the piece of line between `from` and `to`.
fn distance(point: (i32, i32), from: (i32, i32), to: (i32, i32)) -> f32 {
    let vector =
        |from: (i32, i32), to: (i32, i32)| ((to.0 - from.0) as f32, (to.1 - from.1) as f32);
    let (along, offset) = (vector(from, to), vector(from, point));
    let length = along.0 * along.0 + along.1 * along.1;
    let share = if length > 0.0 {
        ((offset.0 * along.0 + offset.1 * along.1) / length).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (offset.0 - share * along.0).hypot(offset.1 - share * along.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(path: &[(i32, i32)], width: f32) -> f32 {
        let mut sum = 0.0;
        cover(path, width, (100, 100), |_, _, coverage| sum += coverage);
        sum
    }

    #[test]
    fn the_area_is_length_times_width_whatever_the_slope() {
        for end in [(90, 10), (10, 90), (70, 70), (90, 40)] {
            let length = ((end.0 - 10) as f32).hypot((end.1 - 10) as f32);
            // The round caps add one disc.
            let expected = length * 4.0 + std::f32::consts::PI * 4.0;
            let drawn = area(&[(10, 10), end], 4.0);
            assert!(
                (drawn / expected - 1.0).abs() < 0.05,
                "{drawn} instead of {expected} to {end:?}"
            );
        }
    }

    #[test]
    fn going_back_covers_nothing_twice() {
        assert!(
            (area(&[(10, 10), (60, 30), (10, 10)], 3.0) - area(&[(10, 10), (60, 30)], 3.0)).abs()
                < 1e-3
        );
    }

    #[test]
    fn one_point_is_a_disc_and_none_is_nothing() {
        assert!((area(&[(50, 50)], 20.0) - std::f32::consts::PI * 100.0).abs() < 8.0);
        assert!(area(&[], 4.0) == 0.0);
        assert!(area(&[(500, 500), (600, 600)], 4.0) == 0.0);
    }
}
