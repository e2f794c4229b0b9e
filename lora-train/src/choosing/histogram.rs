use std::f32::consts::PI;

use super::lab::LabPicture;

/// Bins along each of L, a and b.
const COLOUR_BINS: usize = 8;
/// Colours further from grey than this are in the outermost bins.
const MOST_COLOUR: f32 = 80.0;
/// Directions of an edge, of half a turn.
const DIRECTIONS: usize = 8;
/// The steps of lightness a pixel at which edges count as there, as clear and as sharp.
const STRENGTHS: [f32; 3] = [2.0, 6.0, 18.0];

/// Parts of a picture that fall into each bin; they add up to 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Histogram(Vec<f64>);

impl Histogram {
    /// Which colours a picture has: 8 × 8 × 8 bins whose middles go from 0 to 100 along L and from -80 to 80 along a and
    /// b. A colour counts for the eight bins around it by its nearness, so that a shade more or less changes little.
    pub(super) fn of_colours(picture: &LabPicture) -> Self {
        let mut sums = vec![0.0_f64; COLOUR_BINS.pow(3)];
        for [l, a, b] in &picture.pixels {
            let chroma = |value: f32| shared((value + MOST_COLOUR) / (2.0 * MOST_COLOUR));
            for (l, l_part) in shared(l / 100.0) {
                for (a, a_part) in chroma(*a) {
                    for (b, b_part) in chroma(*b) {
                        let place = (l * COLOUR_BINS + a) * COLOUR_BINS + b;
                        sums[place] += f64::from(l_part * a_part * b_part);
                    }
                }
            }
        }
        let all = sums.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        Self(sums.into_iter().map(|sum| sum / all).collect())
    }

    /// Which edges it has: Sobel's gradient of L in 8 directions and 3 strengths, and one bin for even places. Pixels at
    /// the border have the gradient of those beside them.
    pub(super) fn of_edges(picture: &LabPicture) -> Self {
        let (width, height) = (picture.width, picture.height);
        let light = |x: usize, y: usize| picture.pixels[y * width + x][0];
        let place = |x: usize, y: usize| {
            let x = [x.saturating_sub(1), x, (x + 1).min(width - 1)];
            let y = [y.saturating_sub(1), y, (y + 1).min(height - 1)];
            let column = |x: usize| light(x, y[0]) + 2.0 * light(x, y[1]) + light(x, y[2]);
            let row = |y: usize| light(x[0], y) + 2.0 * light(x[1], y) + light(x[2], y);
            // Sobel's weights add up to 8 steps of one pixel.
            let across = (column(x[2]) - column(x[0])) / 8.0;
            let down = (row(y[2]) - row(y[0])) / 8.0;
            let strength = across.hypot(down);
            let Some(level) = STRENGTHS.iter().rposition(|&least| strength >= least) else {
                return 0;
            };
            // The bins' middles are the level, the upright and the diagonals, so that a hair does not tip them over.
            let turn = down.atan2(across) / PI * DIRECTIONS as f32;
            let direction = (turn.round() as i32).rem_euclid(DIRECTIONS as i32) as usize;
            1 + level * DIRECTIONS + direction
        };
        let places = (0..height).flat_map(|y| (0..width).map(move |x| place(x, y)));
        let mut counts = [0_u32; 1 + STRENGTHS.len() * DIRECTIONS];
        for place in places {
            counts[place] += 1;
        }
        let all = f64::from(counts.iter().sum::<u32>().max(1));
        Self(
            counts
                .into_iter()
                .map(|count| f64::from(count) / all)
                .collect(),
        )
    }

    /// The mean of some pictures' histograms of one kind.
    pub(super) fn mean<'a>(histograms: impl ExactSizeIterator<Item = &'a Self>) -> Self {
        let count = histograms.len().max(1) as f64;
        let mut mean: Vec<f64> = Vec::new();
        for Self(parts) in histograms {
            mean.resize(parts.len(), 0.0);
            for (sum, part) in mean.iter_mut().zip(parts) {
                *sum += part / count;
            }
        }
        Self(mean)
    }

    /// How much two have in common, 0 to 1: the sum of the smaller parts (histogram intersection, Swain and Ballard
    /// 1991).
    pub(super) fn intersection(&self, other: &Self) -> f64 {
        self.0.iter().zip(&other.0).map(|(a, b)| a.min(*b)).sum()
    }
}

/// The two bins around a place from 0 to 1 along an axis of colour, with the part that each gets.
fn shared(place: f32) -> [(usize, f32); 2] {
    let last = COLOUR_BINS - 1;
    let place = (place * last as f32).clamp(0.0, last as f32);
    let below = (place as usize).min(last - 1);
    let above = place - below as f32;
    [(below, 1.0 - above), (below + 1, above)]
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    fn colours(picture: &RgbImage) -> Histogram {
        Histogram::of_colours(&LabPicture::of(picture))
    }

    fn edges(picture: &RgbImage) -> Histogram {
        Histogram::of_edges(&LabPicture::of(picture))
    }

    fn striped(is_light: impl Fn(u32, u32) -> bool) -> RgbImage {
        RgbImage::from_fn(32, 32, |x, y| {
            Rgb(if is_light(x, y) { [200; 3] } else { [20; 3] })
        })
    }

    #[test]
    fn shared_colours_count_by_their_area() {
        let red = RgbImage::from_pixel(8, 8, Rgb([200, 30, 30]));
        let blue = RgbImage::from_pixel(8, 8, Rgb([30, 30, 200]));
        let half = RgbImage::from_fn(8, 8, |x, _| {
            Rgb(if x < 2 { [200, 30, 30] } else { [30, 30, 200] })
        });
        let [red, blue, half] = [&red, &blue, &half].map(colours);
        let near = |value: f64, expected: f64| assert!((value - expected).abs() < 1e-6, "{value}");
        near(red.intersection(&red), 1.0);
        assert!(red.intersection(&blue) < 0.3, "{}", red.intersection(&blue));
        let common = red.intersection(&blue);
        near(red.intersection(&half), 0.25 + 0.75 * common);
        near(blue.intersection(&half), 0.75 + 0.25 * common);
        // A shade that crosses from one bin to the next changes little.
        let shade = |light: u8| colours(&RgbImage::from_pixel(8, 8, Rgb([light; 3])));
        for light in (0..250).step_by(5) {
            let likeness = shade(light).intersection(&shade(light + 5));
            assert!(likeness > 0.8, "{light}: {likeness}");
        }
    }

    #[test]
    fn edges_have_direction_and_strength() {
        let upright = edges(&striped(|x, _| x % 8 < 4));
        let level = edges(&striped(|_, y| y % 8 < 4));
        let moved = edges(&striped(|x, _| (x + 2) % 8 < 4));
        let slanted = edges(&striped(|x, y| (x + y) % 8 < 4));
        let even = edges(&striped(|_, _| true));
        // Half of the pixels are at an edge, the others even.
        assert!((upright.intersection(&level) - 0.5).abs() < 0.1);
        assert!(upright.intersection(&moved) > 0.9);
        assert!(upright.intersection(&slanted) < 0.6);
        assert!((even.intersection(&upright) - 0.5).abs() < 0.1);
        let faint = RgbImage::from_fn(32, 32, |x, _| Rgb([if x % 8 < 4 { 60 } else { 40 }; 3]));
        assert!(edges(&faint).intersection(&upright) < 0.6);
        // A picture of one pixel has no edges.
        assert!((edges(&RgbImage::new(1, 1)).intersection(&even) - 1.0).abs() < 1e-9);
    }
}
