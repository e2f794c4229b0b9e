use image::RgbImage;

use super::lab::LabPicture;

/// Pictures are compared at this width and height.
const SIDE: u32 = 32;
/// Width and height of a window.
const WINDOW: usize = 8;
/// From one window to the next.
const STRIDE: usize = 4;
/// Windows each way.
const WINDOWS: usize = (SIDE as usize - WINDOW) / STRIDE + 1;
/// Wang et al.'s constants (0.01 R)² and (0.03 R)², for lightness from 0 to 100.
const C1: f64 = 1.0;
const C2: f64 = 9.0;

/// Where a picture is light and dark, at 32 × 32 pixels.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Structure {
    light: Vec<f32>,
    /// Mean and variance of each window.
    windows: Vec<(f64, f64)>,
}

impl Structure {
    pub(super) fn of(picture: &RgbImage) -> Self {
        let picture = LabPicture::resized(picture, SIDE, SIDE);
        Self::new(picture.pixels.iter().map(|[l, _, _]| *l).collect())
    }

    fn new(light: Vec<f32>) -> Self {
        let windows = corners().map(|corner| {
            let values = || window(&light, corner).map(f64::from);
            let count = (WINDOW * WINDOW) as f64;
            let mean = values().sum::<f64>() / count;
            let variance = values().map(|value| (value - mean).powi(2)).sum::<f64>() / count;
            (mean, variance)
        });
        let windows = windows.collect();
        Self { light, windows }
    }

    /// The same, mirrored.
    pub(super) fn flipped(&self) -> Self {
        let rows = self.light.chunks_exact(SIDE as usize);
        Self::new(rows.flat_map(|row| row.iter().rev().copied()).collect())
    }

    /// 1 − SSIM (Wang et al. 2004) over windows of 8 × 8 pixels: 0 for the same picture, about 1 for pictures that have
    /// nothing in common, at most 2.
    pub(super) fn distance(&self, other: &Self) -> f64 {
        let likeness = corners().enumerate().map(|(index, corner)| {
            let ((a, a_variance), (b, b_variance)) = (self.windows[index], other.windows[index]);
            let pairs = window(&self.light, corner).zip(window(&other.light, corner));
            let products = pairs.map(|(x, y)| (f64::from(x) - a) * (f64::from(y) - b));
            let covariance = products.sum::<f64>() / (WINDOW * WINDOW) as f64;
            (2.0 * a * b + C1) * (2.0 * covariance + C2)
                / ((a * a + b * b + C1) * (a_variance + b_variance + C2))
        });
        1.0 - likeness.sum::<f64>() / (WINDOWS * WINDOWS) as f64
    }

    /// The distance to the nearest of some others.
    pub(super) fn nearest<'a>(&self, others: impl Iterator<Item = &'a Self>) -> Option<f64> {
        others
            .map(|other| self.distance(other))
            .min_by(f64::total_cmp)
    }
}

fn corners() -> impl Iterator<Item = (usize, usize)> {
    (0..WINDOWS).flat_map(|y| (0..WINDOWS).map(move |x| (x * STRIDE, y * STRIDE)))
}

fn window(light: &[f32], (left, top): (usize, usize)) -> impl Iterator<Item = f32> {
    light
        .chunks_exact(SIDE as usize)
        .skip(top)
        .take(WINDOW)
        .flat_map(move |row| row[left..left + WINDOW].iter().copied())
}

#[cfg(test)]
mod tests {
    use image::{Rgb, imageops};

    use super::*;

    /// A few soft spots at places of their own.
    fn spots(seed: u32) -> RgbImage {
        RgbImage::from_fn(64, 64, |x, y| {
            let wave = |n: u32| {
                let (cx, cy) = ((seed * 37 + n * 23) % 64, (seed * 11 + n * 41) % 64);
                let far = (x.abs_diff(cx).pow(2) + y.abs_diff(cy).pow(2)) as f32;
                160.0 * (-far / 60.0).exp()
            };
            Rgb([(20.0 + wave(1) + wave(2) + wave(3)).min(255.0) as u8; 3])
        })
    }

    #[test]
    fn copies_are_near_and_other_pictures_are_not() {
        let picture = spots(1);
        let structure = Structure::of(&picture);
        let distance = |other: &RgbImage| structure.distance(&Structure::of(other));
        assert!(distance(&picture).abs() < 1e-9);
        // Made smaller, brighter, of other colours.
        let small = imageops::thumbnail(&picture, 32, 32);
        assert!(distance(&small) < 0.01, "{}", distance(&small));
        let mut tinted = picture.clone();
        for pixel in tinted.pixels_mut() {
            pixel.0 = [pixel.0[0] / 8 * 7 + 20, pixel.0[1], pixel.0[2] / 8 * 7];
        }
        assert!(distance(&tinted) < 0.15, "{}", distance(&tinted));
        for seed in 2..5 {
            let other = distance(&spots(seed));
            assert!(other > 0.35, "{seed}: {other}");
        }
        let others = [Structure::of(&spots(3)), structure.clone()];
        let nearest = structure.nearest(others.iter());
        assert!(nearest.is_some_and(|far| far.abs() < 1e-9), "{nearest:?}");
        assert_eq!(structure.nearest([].into_iter()), None);
    }

    #[test]
    fn mirrored_pictures_are_copies_once_they_are_mirrored_back() {
        let picture = spots(1);
        let mirrored = Structure::of(&imageops::flip_horizontal(&picture));
        let structure = Structure::of(&picture);
        assert!(structure.distance(&mirrored) > 0.3);
        assert!(structure.flipped().distance(&mirrored).abs() < 1e-9);
    }
}
