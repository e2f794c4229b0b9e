use image::{DynamicImage, RgbImage};

use super::{crop_window::over, cut_plan::scaled_down};
use crate::{Fit, cover_crop::resize};

/// How many places of a window are looked at along a side, at most, beside the first.
const PLACES: u32 = 64;
/// Of a window's interest, so many thousandths are taken off at the ends of its way, across and down: of equals, the
/// middle wins.
const PENALTY: u64 = 100;
/// The longer side of the copy that is looked at, in pixels: small enough that grain and fine patterns are even.
const SIDE: u32 = 64;

/// Where there is something to be seen in a picture: at each pixel of a small copy the steepness of brightness, as the
/// differences of its neighbours across and down, and the colourfulness, as the greatest less the least of red, green
/// and blue. Whole numbers throughout, so that it is the same on every machine.
///
/// Edges and strong colours stand for what was photographed, as in smartcrop.js.
pub(super) struct Interest {
    width: u32,
    height: u32,
    /// Sums over all pixels above and to the left, with a row and a column of zeros before.
    sums: Vec<u64>,
}

impl Interest {
    /// The interest of a picture, which may be a small copy.
    ///
    /// # Errors
    /// When the resizer refuses its size, in words.
    pub(super) fn of(picture: RgbImage) -> Result<Self, String> {
        let size = scaled_down(picture.dimensions(), Some(SIDE));
        let picture = resize(picture, size).map_err(|error| error.to_string())?;
        Ok(Self::at_each_pixel(&picture))
    }

    fn at_each_pixel(picture: &RgbImage) -> Self {
        let (width, height) = picture.dimensions();
        let luma = DynamicImage::from(picture.clone()).into_luma8();
        let at = |x: u32, y: u32| i32::from(luma.get_pixel(x, y).0[0]);
        let mut sums = vec![0; (width as usize + 1) * (height as usize + 1)];
        let stride = width as usize + 1;
        for y in 0..height {
            let mut row = 0;
            let (above, below) = (y.saturating_sub(1), (y + 1).min(height - 1));
            for x in 0..width {
                let (left, right) = (x.saturating_sub(1), (x + 1).min(width - 1));
                let steepness =
                    at(left, y).abs_diff(at(right, y)) + at(x, above).abs_diff(at(x, below));
                row += u64::from(steepness) + u64::from(colourfulness(picture.get_pixel(x, y).0));
                let place = (y as usize + 1) * stride + x as usize + 1;
                sums[place] = sums[place - stride] + row;
            }
        }
        Self {
            width,
            height,
            sums,
        }
    }

    /// The corner of the window with the most interest, in pixels after resizing; of equals, the one nearest to the
    /// middle.
    pub(super) fn best_corner(&self, fit: &Fit) -> (u32, u32) {
        let over = over(fit);
        let mut candidates: Vec<(u64, (u32, u32))> = Vec::new();
        for (y, down) in places(over.1) {
            for (x, across) in places(over.0) {
                candidates.push((across + down, (x, y)));
            }
        }
        candidates.sort_unstable();
        let mut best = (0, (over.0 / 2, over.1 / 2));
        for (distance, corner) in candidates {
            let score = self.within(fit, corner) * (1000 - PENALTY * distance / 1000);
            if score > best.0 {
                best = (score, corner);
            }
        }
        best.1
    }

    /// The interest within a window.
    fn within(&self, fit: &Fit, corner: (u32, u32)) -> u64 {
        let span = |start: u32, length: u32, resized: u32, size: u32| {
            let scale = f64::from(size) / f64::from(resized);
            let length = (f64::from(length) * scale).round() as u32;
            let length = length.clamp(1, size);
            let start = ((f64::from(start) * scale).round() as u32).min(size - length);
            (start as usize, (start + length) as usize)
        };
        let (left, right) = span(corner.0, fit.bucket.width, fit.resized.0, self.width);
        let (top, bottom) = span(corner.1, fit.bucket.height, fit.resized.1, self.height);
        let stride = self.width as usize + 1;
        let sum = |x: usize, y: usize| self.sums[y * stride + x];
        sum(right, bottom) + sum(left, top) - sum(left, bottom) - sum(right, top)
    }
}

/// Places from 0 to `over`, each with its distance from the middle in thousandths of the way to the end.
fn places(over: u32) -> impl Iterator<Item = (u32, u64)> {
    let steps = over.clamp(1, PLACES);
    (0..=steps.min(over)).map(move |step| {
        let place = (u64::from(over) * u64::from(step) + u64::from(steps) / 2) / u64::from(steps);
        let twice = 2 * place;
        let distance = twice.abs_diff(u64::from(over)) * 1000 / u64::from(over.max(1));
        (place as u32, distance)
    })
}

fn colourfulness([red, green, blue]: [u8; 3]) -> u8 {
    red.max(green).max(blue) - red.min(green).min(blue)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::Resolution;

    /// A grey picture of 60 × 20 with a chequered square of 10 at `left`, 5.
    fn subject(left: u32) -> RgbImage {
        RgbImage::from_fn(60, 20, |x, y| {
            let is_subject = (left..left + 10).contains(&x) && (5..15).contains(&y);
            let is_dark = (x / 2 + y / 2) % 2 == 0;
            Rgb([if is_subject && is_dark { 20 } else { 128 }; 3])
        })
    }

    const FIT: Fit = Fit {
        bucket: Resolution::square(20),
        resized: (60, 20),
    };

    fn best(picture: &RgbImage) -> (u32, u32) {
        Interest::at_each_pixel(picture).best_corner(&FIT)
    }

    #[test]
    fn sums_are_those_of_the_pixels() {
        // One pixel of pure red in grey: its luma is 54 (0.2126 × 255), 46 less than that of its four neighbours.
        let mut picture = RgbImage::from_pixel(5, 5, Rgb([100; 3]));
        picture.put_pixel(2, 2, Rgb([255, 0, 0]));
        let interest = Interest::at_each_pixel(&picture);
        let fit = |side| Fit {
            bucket: Resolution::square(side),
            resized: (5, 5),
        };
        // Each neighbour sees the difference once; the pixel itself sees only its colour.
        assert_eq!(interest.within(&fit(5), (0, 0)), 4 * 46 + 255);
        assert_eq!(interest.within(&fit(1), (2, 2)), 255);
        assert_eq!(interest.within(&fit(1), (3, 2)), 46);
        assert_eq!(interest.within(&fit(2), (0, 0)), 0);
    }

    #[test]
    fn the_window_holds_the_subject_and_is_as_near_to_the_middle_as_it_can() {
        // The edge of the subject is seen one pixel beside it: from 41 to 51 at the right.
        for left in [3, 25, 42] {
            let (x, y) = best(&subject(left));
            assert!(x < left && x + 20 > left + 10, "{left}: {x}");
            assert_eq!(y, 0);
        }
        assert_eq!(best(&subject(25)), (20, 0));
        assert_eq!(best(&subject(42)), (33, 0));
    }

    #[test]
    fn where_nothing_is_to_be_seen_it_is_the_middle() {
        assert_eq!(best(&RgbImage::from_pixel(60, 20, Rgb([77; 3]))), (20, 0));
        // The same everywhere, too.
        assert_eq!(
            best(&RgbImage::from_pixel(60, 20, Rgb([250, 10, 10]))),
            (20, 0)
        );
    }
}
