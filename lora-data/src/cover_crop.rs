use fast_image_resize::{FilterType, ResizeAlg, ResizeError, ResizeOptions, Resizer};
use image::{DynamicImage, RgbImage, imageops};

use crate::{Framing, Resolution};

/// Resizes a picture to just cover `target`, keeping its proportions, and cuts the middle out.
///
/// A picture that already has the size comes back bit for bit, one that only needs cutting is only cut. The filter is
/// Lanczos3, widened when shrinking so that nothing aliases (as Pillow's `LANCZOS`).
///
/// Gives the framing too.
///
/// # Errors
/// When the resizer refuses the picture's dimensions.
pub(crate) fn cover_crop(
    picture: RgbImage,
    target: Resolution,
) -> Result<(RgbImage, Framing), ResizeError> {
    let original = picture.dimensions();
    let covering = covering_size(picture.dimensions(), target);
    let covered = if covering == picture.dimensions() {
        picture
    } else {
        resize(picture, covering)?
    };
    let (left, top) = (
        (covering.0 - target.width) / 2,
        (covering.1 - target.height) / 2,
    );
    let framing = Framing {
        original,
        crop: (left, top),
    };
    if covering == (target.width, target.height) {
        return Ok((covered, framing));
    }
    let cut = imageops::crop_imm(&covered, left, top, target.width, target.height);
    Ok((cut.to_image(), framing))
}

/// The smallest size of the picture's proportions, to the nearest pixel, that covers `target`.
fn covering_size((width, height): (u32, u32), target: Resolution) -> (u32, u32) {
    let scale_x = f64::from(target.width) / f64::from(width);
    let scale_y = f64::from(target.height) / f64::from(height);
    if scale_x >= scale_y {
        (target.width, scaled(height, scale_x).max(target.height))
    } else {
        (scaled(width, scale_y).max(target.width), target.height)
    }
}

fn scaled(side: u32, scale: f64) -> u32 {
    (f64::from(side) * scale).round() as u32
}

/// Resizes a picture with the filter of [`cover_crop`].
///
/// # Errors
/// When the resizer refuses the dimensions.
pub(crate) fn resize(
    picture: RgbImage,
    (width, height): (u32, u32),
) -> Result<RgbImage, ResizeError> {
    let mut resized = DynamicImage::new_rgb8(width, height);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&DynamicImage::from(picture), &mut resized, &options)?;
    Ok(resized.into_rgb8())
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn covering_sizes() {
        let target = Resolution {
            width: 64,
            height: 96,
        };
        for (size, covering) in [
            ((64, 96), (64, 96)),
            ((128, 192), (64, 96)),
            ((640, 480), (128, 96)),
            ((100, 1000), (64, 640)),
            ((32, 32), (96, 96)),
            ((64, 97), (64, 97)),
            ((1, 1), (96, 96)),
            ((1000, 1499), (64, 96)),
        ] {
            assert_eq!(covering_size(size, target), covering, "{size:?}");
        }
    }

    #[test]
    fn a_picture_of_the_right_size_comes_back_bit_for_bit() {
        let picture = chequered(17, 13);
        assert_eq!(
            cover_crop(
                picture.clone(),
                Resolution {
                    width: 17,
                    height: 13
                }
            )
            .unwrap()
            .0,
            picture
        );
    }

    #[test]
    fn a_picture_that_only_needs_cutting_keeps_its_middle_bit_for_bit() {
        let picture = chequered(20, 31);
        let (cut, framing) = cover_crop(picture.clone(), Resolution::square(20)).unwrap();
        assert_eq!((framing.original, framing.crop), ((20, 31), (0, 5)));
        assert_eq!(cut, imageops::crop_imm(&picture, 0, 5, 20, 20).to_image());
    }

    #[test]
    fn the_middle_is_kept_when_shrinking() {
        // Three vertical bands of 40 pixels; the middle one is what a square crop shows.
        let picture = RgbImage::from_fn(120, 40, |x, _| {
            [Rgb([255, 0, 0]), Rgb([0, 255, 0]), Rgb([0, 0, 255])][x as usize / 40]
        });
        let (cropped, framing) = cover_crop(picture, Resolution::square(20)).unwrap();
        assert_eq!((framing.original, framing.crop), ((120, 40), (20, 0)));
        assert_eq!(cropped.dimensions(), (20, 20));
        assert_eq!(*cropped.get_pixel(10, 10), Rgb([0, 255, 0]));
        assert!(cropped.get_pixel(3, 10)[1] > 250 && cropped.get_pixel(16, 10)[1] > 250);
    }

    #[test]
    fn shrinking_averages_instead_of_aliasing() {
        let (cropped, _) = cover_crop(chequered(128, 128), Resolution::square(16)).unwrap();
        assert!(
            cropped.as_raw().iter().all(|&byte| byte.abs_diff(128) <= 8),
            "{:?}",
            &cropped.as_raw()[..12]
        );
    }

    fn chequered(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([if (x + y) % 2 == 0 { 0 } else { 255 }; 3])
        })
    }
}
