use image::{Rgb, RgbImage, imageops};

/// Pictures are looked at with so many pixels along the longer side at most.
const SIDE: u32 = 128;

/// A picture's colours in CIELAB (CIE 15, 2° observer, white point D65), row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LabPicture {
    pub(super) width: usize,
    pub(super) height: usize,
    /// L from 0 to 100, a and b about from -100 to 100.
    pub(super) pixels: Vec<[f32; 3]>,
}

impl LabPicture {
    /// The picture, made smaller if it is larger than 128 pixels.
    pub(super) fn of(picture: &RgbImage) -> Self {
        let (width, height) = picture.dimensions();
        let scale = (f64::from(SIDE) / f64::from(width.max(height).max(1))).min(1.0);
        let scaled = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
        Self::resized(picture, scaled(width), scaled(height))
    }

    /// The picture at a size; pixels are averaged where it becomes smaller.
    pub(super) fn resized(picture: &RgbImage, width: u32, height: u32) -> Self {
        let small;
        let picture = if picture.dimensions() == (width, height) {
            picture
        } else {
            small = imageops::thumbnail(picture, width, height);
            &small
        };
        let linear: [f32; 256] = std::array::from_fn(|byte| linear(byte as f32 / 255.0));
        Self {
            width: width as usize,
            height: height as usize,
            pixels: picture.pixels().map(|pixel| lab(*pixel, &linear)).collect(),
        }
    }
}

/// Light of a channel's value, IEC 61966-2-1.
fn linear(value: f32) -> f32 {
    if value <= 0.04045 {
        value / 12.92
    } else {
        ((value + 0.055) / 1.055).powf(2.4)
    }
}

fn lab(Rgb(bytes): Rgb<u8>, linear: &[f32; 256]) -> [f32; 3] {
    let [r, g, b] = bytes.map(|byte| linear[usize::from(byte)]);
    let x = (0.412_456_4 * r + 0.357_576_1 * g + 0.180_437_5 * b) / 0.950_47;
    let y = 0.212_672_9 * r + 0.715_152_2 * g + 0.072_175 * b;
    let z = (0.019_333_9 * r + 0.119_192 * g + 0.950_304_1 * b) / 1.088_83;
    let [x, y, z] = [x, y, z].map(|light| {
        if light > 216.0 / 24_389.0 {
            light.cbrt()
        } else {
            (24_389.0 / 27.0 * light + 16.0) / 116.0
        }
    });
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red and blue as in Lindbloom's tables; the last is the formulas in double precision.
    #[test]
    fn colours_have_their_places() {
        for (bytes, expected) in [
            ([0, 0, 0], [0.0, 0.0, 0.0]),
            ([255, 255, 255], [100.0, 0.0, 0.0]),
            ([255, 0, 0], [53.241, 80.092, 67.203]),
            ([0, 0, 255], [32.297, 79.188, -107.86]),
            ([18, 52, 86], [21.042, 1.054, -24.101]),
        ] {
            let [found] = LabPicture::of(&RgbImage::from_pixel(1, 1, Rgb(bytes))).pixels[..] else {
                panic!("one pixel")
            };
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 0.01_f32, "{bytes:?}: {found}");
            }
        }
    }

    #[test]
    fn large_pictures_are_made_smaller_and_small_ones_stay() {
        let size = |width, height| {
            let picture = LabPicture::of(&RgbImage::new(width, height));
            assert_eq!(picture.pixels.len(), picture.width * picture.height);
            (picture.width, picture.height)
        };
        assert_eq!(size(64, 48), (64, 48));
        assert_eq!(size(512, 256), (128, 64));
        assert_eq!(size(4000, 1), (128, 1));
    }
}
