//! Pictures as text, for pages that stand alone.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::page::PageError;
use super::png;

/// Pictures with at most this many pixels are embedded without loss.
const LOSSLESS_PIXELS: usize = 256 * 256;
/// The quality of the others: a page of a hundred cells of 512 × 512 pixels stays near ten megabytes, and nobody sees a
/// difference.
const QUALITY: u8 = 92;

/// A photograph: PNG where it is small, JPEG (without chroma subsampling) where PNG would make the page unwieldy.
pub(super) fn photograph(picture: &RgbImage) -> Result<String, PageError> {
    if picture.width() as usize * picture.height() as usize <= LOSSLESS_PIXELS {
        return drawing(picture);
    }
    let mut bytes = Vec::new();
    picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
    Ok(uri("image/jpeg", &bytes))
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
}
