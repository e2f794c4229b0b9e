use fast_image_resize::{FilterType, ResizeAlg, ResizeError, ResizeOptions, Resizer};
use image::{DynamicImage, GrayImage, RgbImage, imageops};

use crate::{Fit, Framing, View};

/// Resizes a picture to just cover its bucket, keeping its proportions, and cuts out the part that the view looks at.
///
/// A picture that already has the size comes back bit for bit, one that only needs cutting is only cut. The filter is
/// Lanczos3, widened when shrinking so that nothing aliases (as Pillow's `LANCZOS`).
///
/// Gives the framing too. In a mirrored view the crop's left edge is what the right one was, as in kohya's scripts.
///
/// # Errors
/// When the resizer refuses the picture's dimensions.
pub(crate) fn cover_crop(
    picture: RgbImage,
    fit: &Fit,
    view: &View,
) -> Result<(RgbImage, Framing), ResizeError> {
    let original = picture.dimensions();
    let cut = cut(DynamicImage::from(picture), fit, view)?;
    let (left, top) = corner(fit, view);
    let left = if view.flip {
        fit.resized.0 - fit.bucket.width - left
    } else {
        left
    };
    let framing = Framing {
        original,
        crop: (left, top),
    };
    Ok((cut.into_rgb8(), framing))
}

/// The same part of the picture's mask.
pub(crate) fn cover_crop_mask(
    mask: GrayImage,
    fit: &Fit,
    view: &View,
) -> Result<GrayImage, ResizeError> {
    cut(DynamicImage::from(mask), fit, view).map(DynamicImage::into_luma8)
}

fn cut(picture: DynamicImage, fit: &Fit, view: &View) -> Result<DynamicImage, ResizeError> {
    let cut = cover_crop_at(picture, fit, corner(fit, view))?;
    Ok(match cut {
        cut if !view.flip => cut,
        DynamicImage::ImageLuma8(mask) => imageops::flip_horizontal(&mask).into(),
        cut => imageops::flip_horizontal(&cut.into_rgb8()).into(),
    })
}

/// The same of a picture or a mask, with the place of what is cut out: left and top in pixels after resizing.
pub(crate) fn cover_crop_at(
    picture: DynamicImage,
    fit: &Fit,
    (left, top): (u32, u32),
) -> Result<DynamicImage, ResizeError> {
    let covered = if fit.resized == (picture.width(), picture.height()) {
        picture
    } else {
        resized(&picture, fit.resized)?
    };
    let (width, height) = (fit.bucket.width, fit.bucket.height);
    Ok(if fit.resized == (width, height) {
        covered
    } else {
        covered.crop_imm(left, top, width, height)
    })
}

/// Left and top of what a view looks at, in pixels after resizing.
fn corner(fit: &Fit, view: &View) -> (u32, u32) {
    let over = [
        fit.resized.0 - fit.bucket.width,
        fit.resized.1 - fit.bucket.height,
    ];
    match view.crop {
        None => (over[0] / 2, over[1] / 2),
        Some([x, y]) => (placed(over[0], x), placed(over[1], y)),
    }
}

/// One of the `over + 1` places, all of them equally wide in `at`.
fn placed(over: u32, at: f64) -> u32 {
    ((f64::from(over) + 1.0) * at).min(f64::from(over)) as u32
}

/// Resizes a picture with the filter of [`cover_crop`].
///
/// # Errors
/// When the resizer refuses the dimensions.
pub(crate) fn resize(picture: RgbImage, size: (u32, u32)) -> Result<RgbImage, ResizeError> {
    resized(&DynamicImage::from(picture), size).map(DynamicImage::into_rgb8)
}

/// The same of a picture that stays, or of a mask.
pub(crate) fn resized(
    picture: &DynamicImage,
    (width, height): (u32, u32),
) -> Result<DynamicImage, ResizeError> {
    let mut resized = DynamicImage::new(width, height, picture.color());
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(picture, &mut resized, &options)?;
    Ok(resized)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::{Resolution, buckets::covering};

    fn middle(picture: RgbImage, bucket: Resolution) -> (RgbImage, Framing) {
        let resized = covering(picture.dimensions(), bucket);
        cover_crop(picture, &Fit { bucket, resized }, &View::plain()).unwrap()
    }

    #[test]
    fn covering_sizes() {
        let target = Resolution {
            width: 64,
            height: 96,
        };
        for (size, covered) in [
            ((64, 96), (64, 96)),
            ((128, 192), (64, 96)),
            ((640, 480), (128, 96)),
            ((100, 1000), (64, 640)),
            ((32, 32), (96, 96)),
            ((64, 97), (64, 97)),
            ((1, 1), (96, 96)),
            ((1000, 1499), (64, 96)),
        ] {
            assert_eq!(covering(size, target), covered, "{size:?}");
        }
    }

    #[test]
    fn a_picture_of_the_right_size_comes_back_bit_for_bit() {
        let picture = chequered(17, 13);
        assert_eq!(
            middle(
                picture.clone(),
                Resolution {
                    width: 17,
                    height: 13
                }
            )
            .0,
            picture
        );
    }

    #[test]
    fn a_picture_that_only_needs_cutting_keeps_its_middle_bit_for_bit() {
        let picture = chequered(20, 31);
        let (cut, framing) = middle(picture.clone(), Resolution::square(20));
        assert_eq!((framing.original, framing.crop), ((20, 31), (0, 5)));
        assert_eq!(cut, imageops::crop_imm(&picture, 0, 5, 20, 20).to_image());
    }

    #[test]
    fn the_middle_is_kept_when_shrinking() {
        // Three vertical bands of 40 pixels; the middle one is what a square crop shows.
        let picture = RgbImage::from_fn(120, 40, |x, _| {
            [Rgb([255, 0, 0]), Rgb([0, 255, 0]), Rgb([0, 0, 255])][x as usize / 40]
        });
        let (cropped, framing) = middle(picture, Resolution::square(20));
        assert_eq!((framing.original, framing.crop), ((120, 40), (20, 0)));
        assert_eq!(cropped.dimensions(), (20, 20));
        assert_eq!(*cropped.get_pixel(10, 10), Rgb([0, 255, 0]));
        assert!(cropped.get_pixel(3, 10)[1] > 250 && cropped.get_pixel(16, 10)[1] > 250);
    }

    #[test]
    fn views_mirror_and_move_the_crop_and_say_so() {
        let picture = chequered(21, 30);
        let fit = Fit {
            bucket: Resolution {
                width: 16,
                height: 30,
            },
            resized: (21, 30),
        };
        let plain = cover_crop(picture.clone(), &fit, &View::plain()).unwrap();
        let flipped = cover_crop(picture.clone(), &fit, &View::flipped()).unwrap();
        assert_eq!(flipped.0, imageops::flip_horizontal(&plain.0));
        assert_eq!((plain.1.crop, flipped.1.crop), ((2, 0), (3, 0)));
        let crop = |x| View {
            crop: Some([x, 0.5]),
            ..View::plain()
        };
        for (x, left) in [(0.0, 0), (0.5, 3), (0.999, 5), (1.0, 5)] {
            let (cut, framing) = cover_crop(picture.clone(), &fit, &crop(x)).unwrap();
            assert_eq!(framing.crop, (left, 0));
            assert_eq!(
                cut,
                imageops::crop_imm(&picture, left, 0, 16, 30).to_image()
            );
        }
    }

    #[test]
    fn shrinking_averages_instead_of_aliasing() {
        let (cropped, _) = middle(chequered(128, 128), Resolution::square(16));
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
