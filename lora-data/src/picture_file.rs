use std::{fs, io::Cursor, path::Path};

use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, ImageResult, Luma, Rgb,
    RgbImage, Rgba,
};

use crate::{DataError, jpeg_end::has_end_of_image};

/// Decodes a picture to what a viewer shows: turned as its EXIF data says, transparency over white, 8 bits per channel.
///
/// The format is told by the file's content, so a WebP named `.png` is read too.
///
/// # Errors
/// When the file cannot be read, is empty, cut short or no picture.
pub(crate) fn decode(path: &Path) -> Result<RgbImage, DataError> {
    decode_as_stored(path).map(over_white)
}

/// The same, with the picture's opacity where it has one: 0 is transparent, 255 opaque.
pub(crate) fn decode_with_alpha(path: &Path) -> Result<(RgbImage, Option<GrayImage>), DataError> {
    let picture = decode_as_stored(path)?;
    let alpha = picture.color().has_alpha().then(|| {
        let rgba = picture.to_rgba8();
        GrayImage::from_fn(rgba.width(), rgba.height(), |x, y| {
            Luma([rgba.get_pixel(x, y).0[3]])
        })
    });
    Ok((over_white(picture), alpha))
}

fn decode_as_stored(path: &Path) -> Result<DynamicImage, DataError> {
    let bytes = fs::read(path).map_err(|cause| DataError::Read {
        path: path.into(),
        cause,
    })?;
    if bytes.is_empty() {
        return Err(DataError::Empty { path: path.into() });
    }
    let picture = decode_bytes(&bytes).map_err(|cause| DataError::Decode {
        path: path.into(),
        cause,
    })?;
    if is_jpeg(&bytes) && !has_end_of_image(&bytes) {
        return Err(DataError::CutShort { path: path.into() });
    }
    Ok(picture)
}

fn decode_bytes(bytes: &[u8]) -> ImageResult<DynamicImage> {
    let mut decoder = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()?
        .into_decoder()?;
    let orientation = decoder.orientation()?;
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Composites in sRGB bytes, as Pillow and browsers do.
fn over_white(picture: DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.into_rgb8();
    }
    let rgba = picture.into_rgba8();
    RgbImage::from_fn(rgba.width(), rgba.height(), |x, y| {
        pixel_over_white(*rgba.get_pixel(x, y))
    })
}

fn pixel_over_white(Rgba([red, green, blue, alpha]): Rgba<u8>) -> Rgb<u8> {
    let alpha = u32::from(alpha);
    // Adding 127 rounds to the nearest.
    Rgb([red, green, blue]
        .map(|byte| ((u32::from(byte) * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
}

fn is_jpeg(bytes: &[u8]) -> bool {
    image::guess_format(bytes).is_ok_and(|format| format == ImageFormat::Jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alpha_mixes_with_white_and_rounds() {
        assert_eq!(pixel_over_white(Rgba([10, 20, 30, 255])), Rgb([10, 20, 30]));
        assert_eq!(
            pixel_over_white(Rgba([10, 20, 30, 0])),
            Rgb([255, 255, 255])
        );
        // 0 × 128/255 + 255 × 127/255 = 127; 255 stays; 129 × 128/255 + 127 = 191.75.
        assert_eq!(
            pixel_over_white(Rgba([0, 255, 129, 128])),
            Rgb([127, 255, 192])
        );
    }
}
