use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage, imageops};

/// A photograph of `tests/pictures`.
pub fn path_of(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/pictures")
        .join(name)
}

/// A photograph of `tests/pictures`, decoded.
pub fn photograph(name: &str) -> RgbImage {
    image::open(path_of(name)).unwrap().into_rgb8()
}

/// Each pixel the mean of four, rounded to the nearest, halves up.
pub fn halved(picture: &RgbImage) -> RgbImage {
    RgbImage::from_fn(picture.width() / 2, picture.height() / 2, |x, y| {
        let byte = |channel: usize| {
            let sum: u32 = [(0, 0), (1, 0), (0, 1), (1, 1)]
                .map(|(right, down)| {
                    u32::from(picture.get_pixel(2 * x + right, 2 * y + down)[channel])
                })
                .iter()
                .sum();
            ((sum + 2) / 4) as u8
        };
        Rgb([0, 1, 2].map(byte))
    })
}

/// Four copies of a square picture of 256 pixels in three sizes on grey, 500 × 300.
pub fn group(picture: &RgbImage) -> RgbImage {
    let half = halved(picture);
    let quarter = halved(&half);
    let mut canvas = RgbImage::from_pixel(500, 300, Rgb([128; 3]));
    for (copy, left, top) in [
        (picture, 10, 20),
        (&half, 280, 30),
        (&half, 350, 165),
        (&quarter, 420, 40),
    ] {
        imageops::replace(&mut canvas, copy, left, top);
    }
    canvas
}
