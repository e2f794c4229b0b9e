//! Pictures as text, for pages that stand alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};

use super::page::PageError;
use super::png;

/// Pictures with at most this many pixels are embedded without loss.
const LOSSLESS_PIXELS: usize = 256 * 256;
/// The quality of the others: a page of a hundred cells of 512 × 512 pixels stays near ten megabytes, and nobody sees a
/// difference.
const QUALITY: u8 = 92;
/// The longer side of a thumbnail, in pixels: a page of thousands scrolls easily.
const THUMBNAIL: u32 = 160;
/// The quality of thumbnails.
const THUMBNAIL_QUALITY: u8 = 85;

/// A photograph: PNG where it is small, JPEG (without chroma subsampling) where PNG would make the page unwieldy.
pub(super) fn photograph(picture: &RgbImage) -> Result<String, PageError> {
    if picture.width() as usize * picture.height() as usize <= LOSSLESS_PIXELS {
        return drawing(picture);
    }
    jpeg(picture, QUALITY)
}

/// Whether a picture needs no thumbnail, because its [`photograph`] serves as well.
pub(super) fn is_small(size: [u32; 2]) -> bool {
    size[0].max(size[1]) <= THUMBNAIL
}

/// A small version of a photograph.
pub(super) fn thumbnail(picture: &RgbImage) -> Result<String, PageError> {
    let longer = picture.width().max(picture.height()).max(1);
    let small = scaled(picture, f64::from(THUMBNAIL) / f64::from(longer));
    jpeg(&small, THUMBNAIL_QUALITY)
}

/// A picture with its sides multiplied by `scale`, which is at most 1.
pub(super) fn scaled(picture: &RgbImage, scale: f64) -> RgbImage {
    let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    resize(
        picture,
        side(picture.width()),
        side(picture.height()),
        FilterType::CatmullRom,
    )
}

fn jpeg(picture: &RgbImage, quality: u8) -> Result<String, PageError> {
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))?;
    Ok(jpeg_uri(&bytes))
}

/// A JPEG file that is there.
pub(super) fn jpeg_uri(bytes: &[u8]) -> String {
    uri("image/jpeg", bytes)
}

/// A drawing with text and thin lines: always PNG.
pub(super) fn drawing(picture: &RgbImage) -> Result<String, PageError> {
    Ok(uri("image/png", &png::encode(picture, None)?))
}

fn uri(kind: &str, bytes: &[u8]) -> String {
    format!("data:{kind};base64,{}", STANDARD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(uri: &str) -> RgbImage {
        let (_, text) = uri.split_once(";base64,").expect("a data URI");
        image::load_from_memory(&STANDARD.decode(text).expect("base64"))
            .expect("a picture")
            .to_rgb8()
    }

    #[test]
    fn small_pictures_keep_every_pixel_and_large_ones_shrink() {
        let noisy = |side: u32| {
            RgbImage::from_fn(side, side, |x, y| {
                image::Rgb([(x * 7) as u8, (y * 5) as u8, (x ^ y) as u8])
            })
        };
        let small = photograph(&noisy(64)).expect("encoded");
        assert!(small.starts_with("data:image/png;base64,"));
        assert_eq!(decode(&small), noisy(64));

        let large = photograph(&noisy(512)).expect("encoded");
        assert!(large.starts_with("data:image/jpeg;base64,"));
        assert_eq!(decode(&large).dimensions(), (512, 512));
        assert_eq!(decode(&drawing(&noisy(512)).expect("encoded")), noisy(512));
    }

    #[test]
    fn thumbnails_keep_the_shape_and_small_pictures_need_none() {
        let wide = RgbImage::from_pixel(768, 512, image::Rgb([9, 99, 199]));
        let small = thumbnail(&wide).expect("encoded");
        assert_eq!(decode(&small).dimensions(), (160, 107));
        assert!(is_small([160, 64]) && !is_small([100, 161]));
        assert_eq!(scaled(&wide, 0.5).dimensions(), (384, 256));
    }
}
