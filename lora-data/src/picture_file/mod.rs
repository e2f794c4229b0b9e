//! Picture files: what they may hold, and how they become pixels.
//!
//! [`decode()`](decoding::decode) gives a picture as a viewer shows it: turned as its EXIF data says, its colours in sRGB,
//! 8 bits per channel. Whatever a file claims is checked before memory is taken for it, so a file beyond the limits is
//! refused in little memory, and every refusal names the file and the [`PictureFlaw`].

mod alpha;
mod bmp_outline;
mod colour_profile;
mod decoding;
mod flaw;
mod format;
mod jpeg_outline;
mod limits;
mod options;
mod outline;
mod png_outline;
mod source;
mod webp_outline;

use std::path::Path;

use image::{GrayImage, RgbImage};

pub(crate) use alpha::lay_over;
pub use decoding::{Decoded, decode as decode_picture, dimensions};
pub use flaw::PictureFlaw;
pub use limits::PictureLimits;
pub use options::{AlphaPolicy, DecodeOptions};

use crate::DataError;

/// Decodes a picture within the usual limits to what a viewer shows, transparency over white.
///
/// # Errors
/// As [`decode_picture`].
pub(crate) fn decode(path: &Path) -> Result<RgbImage, DataError> {
    decode_picture(path, &DecodeOptions::default()).map(|decoded| decoded.picture)
}

/// The same, with the picture's opacity unless all of it is opaque: 0 is transparent, 255 opaque.
pub(crate) fn decode_with_alpha(path: &Path) -> Result<(RgbImage, Option<GrayImage>), DataError> {
    let options = DecodeOptions {
        alpha: AlphaPolicy::Mask,
        ..DecodeOptions::default()
    };
    let Decoded { mut picture, alpha } = decode_picture(path, &options)?;
    if let Some(alpha) = &alpha {
        alpha::lay_over(&mut picture, alpha, [255; 3]);
    }
    Ok((picture, alpha))
}

#[cfg(test)]
mod tests {
    use image::{Rgb, Rgba, RgbaImage};

    use super::*;

    #[test]
    fn opacity_comes_beside_the_picture_over_white() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let stored = RgbaImage::from_fn(2, 1, |x, _| Rgba([9, 8, 7, 255 * x as u8]));
        stored.save(&path).unwrap();
        let (picture, alpha) = decode_with_alpha(&path).unwrap();
        assert_eq!(picture, decode(&path).unwrap());
        assert_eq!(picture.get_pixel(0, 0), &Rgb([255; 3]));
        assert_eq!(picture.get_pixel(1, 0), &Rgb([9, 8, 7]));
        assert_eq!(alpha.unwrap().into_raw(), [0, 255]);
    }
}
