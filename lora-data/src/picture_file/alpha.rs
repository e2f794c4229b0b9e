use image::{DynamicImage, GrayImage, ImageBuffer, RgbImage, RgbaImage};

use super::{AlphaPolicy, PictureFlaw};

/// A picture as 8-bit RGB, and what `policy` makes of its transparency.
///
/// # Errors
/// When the policy refuses transparency and a pixel is not opaque.
pub(super) fn separate(
    picture: DynamicImage,
    policy: AlphaPolicy,
) -> Result<(RgbImage, Option<GrayImage>), PictureFlaw> {
    if !picture.color().has_alpha() {
        return Ok((picture.into_rgb8(), None));
    }
    let rgba = picture.into_rgba8();
    let transparent = rgba.pixels().filter(|pixel| pixel[3] != 255).count() as u64;
    match policy {
        AlphaPolicy::Matte(matte) if transparent > 0 => {
            let mut picture = stored(&rgba);
            lay_over(&mut picture, &opacity(&rgba), matte);
            Ok((picture, None))
        }
        AlphaPolicy::Mask if transparent > 0 => Ok((stored(&rgba), Some(opacity(&rgba)))),
        AlphaPolicy::Refuse if transparent > 0 => Err(PictureFlaw::Transparent {
            pixels: transparent,
        }),
        _ => Ok((stored(&rgba), None)),
    }
}

/// Lays a picture over a colour. Composites in sRGB bytes, as Pillow and browsers do.
pub(crate) fn lay_over(picture: &mut RgbImage, opacity: &GrayImage, matte: [u8; 3]) {
    for (pixel, alpha) in picture.pixels_mut().zip(opacity.pixels()) {
        pixel.0 = over(pixel.0, alpha.0[0], matte);
    }
}

fn over([red, green, blue]: [u8; 3], alpha: u8, matte: [u8; 3]) -> [u8; 3] {
    let alpha = u32::from(alpha);
    let mix = |byte: u8, matte: u8| {
        // Adding 127 rounds to the nearest.
        ((u32::from(byte) * alpha + u32::from(matte) * (255 - alpha) + 127) / 255) as u8
    };
    [
        mix(red, matte[0]),
        mix(green, matte[1]),
        mix(blue, matte[2]),
    ]
}

fn stored(rgba: &RgbaImage) -> RgbImage {
    let mut picture = RgbImage::new(rgba.width(), rgba.height());
    for (pixel, source) in picture.pixels_mut().zip(rgba.pixels()) {
        pixel.0.copy_from_slice(&source.0[..3]);
    }
    picture
}

fn opacity(rgba: &RgbaImage) -> GrayImage {
    let mut alpha = ImageBuffer::new(rgba.width(), rgba.height());
    for (pixel, source) in alpha.pixels_mut().zip(rgba.pixels()) {
        *pixel = image::Luma([source[3]]);
    }
    alpha
}

#[cfg(test)]
mod tests {
    use image::{Luma, Rgb, Rgba};

    use super::*;

    #[test]
    fn alpha_mixes_with_the_matte_and_rounds() {
        let white = [255; 3];
        assert_eq!(over([10, 20, 30], 255, white), [10, 20, 30]);
        assert_eq!(over([10, 20, 30], 0, white), white);
        // 0 × 128/255 + 255 × 127/255 = 127; 255 stays; 129 × 128/255 + 127 = 191.75.
        assert_eq!(over([0, 255, 129], 128, white), [127, 255, 192]);
        assert_eq!(over([200, 100, 50], 51, [0, 100, 50]), [40, 100, 50]);
    }

    fn two(alpha: [u8; 2]) -> DynamicImage {
        let picture = RgbaImage::from_fn(2, 1, |x, _| Rgba([9, 8, 7, alpha[x as usize]]));
        DynamicImage::from(picture)
    }

    #[test]
    fn every_policy_keeps_opaque_pixels() {
        for policy in [
            AlphaPolicy::default(),
            AlphaPolicy::Mask,
            AlphaPolicy::Refuse,
        ] {
            let (picture, alpha) = separate(two([255, 255]), policy).unwrap();
            assert!(picture.pixels().all(|&pixel| pixel == Rgb([9, 8, 7])));
            assert_eq!(alpha, None, "{policy:?}");
        }
    }

    #[test]
    fn a_mask_keeps_hidden_colours_and_gives_the_alpha() {
        let (picture, alpha) = separate(two([0, 77]), AlphaPolicy::Mask).unwrap();
        assert_eq!(picture.get_pixel(0, 0), &Rgb([9, 8, 7]));
        let alpha = alpha.unwrap();
        assert_eq!(
            [alpha.get_pixel(0, 0), alpha.get_pixel(1, 0)],
            [&Luma([0]), &Luma([77])]
        );
    }

    #[test]
    fn refusing_counts_what_is_transparent() {
        let refused = separate(two([254, 255]), AlphaPolicy::Refuse);
        assert_eq!(refused, Err(PictureFlaw::Transparent { pixels: 1 }));
    }
}
