//! PNG files that carry their generation settings, in the `parameters` text chunk that A1111 and its kin write and read.

use std::io::{Cursor, Write};

use image::RgbImage;
use png::text_metadata::ITXtChunk;
use png::{BitDepth, ColorType, Decoder, DecodingError, Encoder, EncodingError};

/// The keyword of the text chunk.
const KEYWORD: &str = "parameters";

/// Why a picture could not be encoded or its settings not be read.
#[derive(Debug, thiserror::Error)]
pub enum PngError {
    /// The picture cannot be a PNG, e.g. because it has no pixels.
    #[error("a picture of {width} × {height} pixels could not be encoded as PNG")]
    Encode {
        /// The picture's width in pixels.
        width: u32,
        /// The picture's height in pixels.
        height: u32,
        /// What the encoder says.
        source: EncodingError,
    },
    /// The bytes are not a PNG, or its text chunk is broken.
    #[error("the PNG could not be read")]
    Decode(#[from] DecodingError),
}

/// Encodes a picture with its settings (prompt, negative prompt, steps, sampler, …) as A1111 writes them: a `tEXt` chunk,
/// or `iTXt` where the text has characters beyond Latin-1, as Pillow chooses. `None` writes no chunk.
///
/// # Errors
/// [`PngError::Encode`] for a picture without pixels.
pub fn encode(picture: &RgbImage, parameters: Option<&str>) -> Result<Vec<u8>, PngError> {
    let (width, height) = picture.dimensions();
    write(picture, parameters).map_err(|source| PngError::Encode {
        width,
        height,
        source,
    })
}

fn write(picture: &RgbImage, parameters: Option<&str>) -> Result<Vec<u8>, EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    add_parameters(&mut encoder, parameters)?;
    let mut writer = encoder.write_header()?;
    writer.write_image_data(picture.as_raw())?;
    writer.finish()?;
    Ok(bytes)
}

/// Adds the chunk of [`encode`].
pub(super) fn add_parameters<W: Write>(
    encoder: &mut Encoder<'_, W>,
    parameters: Option<&str>,
) -> Result<(), EncodingError> {
    let Some(text) = parameters else {
        return Ok(());
    };
    // NUL separates the fields of a text chunk and must not stand in the text.
    let text = text.replace('\0', "");
    if text.chars().all(|character| character <= '\u{ff}') {
        encoder.add_text_chunk(KEYWORD.to_owned(), text)
    } else {
        encoder.add_itxt_chunk(KEYWORD.to_owned(), text)
    }
}

/// The settings that a PNG carries: `None` where it has no `parameters` chunk before its pixels.
///
/// # Errors
/// [`PngError::Decode`] when the bytes are not a PNG or the chunk cannot be unpacked.
pub fn read_parameters(bytes: &[u8]) -> Result<Option<String>, PngError> {
    let reader = Decoder::new(Cursor::new(bytes)).read_info()?;
    let info = reader.info();
    if let Some(chunk) = info
        .uncompressed_latin1_text
        .iter()
        .find(|chunk| chunk.keyword == KEYWORD)
    {
        return Ok(Some(chunk.text.clone()));
    }
    let chunk = info.utf8_text.iter().find(|chunk| chunk.keyword == KEYWORD);
    Ok(chunk.map(ITXtChunk::get_text).transpose()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = "a café, pencil drawing\nNegative prompt: blurry\nSteps: 20, Sampler: Euler a, CFG scale: 7, \
                            Seed: 1, Size: 64x64, Model hash: 0123456789, Lora hashes: \"style: 1a2b3c4d5e6f\"";

    fn picture() -> RgbImage {
        RgbImage::from_fn(5, 3, |x, y| image::Rgb([x as u8 * 50, y as u8 * 80, 7]))
    }

    fn has_chunk(bytes: &[u8], kind: &str) -> bool {
        bytes.windows(4).any(|window| window == kind.as_bytes())
    }

    #[test]
    fn settings_and_pixels_come_back() {
        let bytes = encode(&picture(), Some(SETTINGS)).expect("encoded");
        assert_eq!(
            read_parameters(&bytes).expect("read").as_deref(),
            Some(SETTINGS)
        );
        assert!(has_chunk(&bytes, "tEXt") && !has_chunk(&bytes, "iTXt"));
        assert_eq!(
            image::load_from_memory(&bytes)
                .expect("a picture")
                .to_rgb8(),
            picture()
        );
    }

    #[test]
    fn chinese_settings_come_back_from_itxt() {
        let text = "一只猫坐在窗边, 水彩 🐈\nSteps: 20";
        let bytes = encode(&picture(), Some(text)).expect("encoded");
        assert_eq!(
            read_parameters(&bytes).expect("read").as_deref(),
            Some(text)
        );
        assert!(has_chunk(&bytes, "iTXt") && !has_chunk(&bytes, "tEXt"));
    }

    #[test]
    fn latin_1_is_stored_one_byte_a_letter() {
        let bytes = encode(&picture(), Some("café")).expect("encoded");
        assert!(
            bytes
                .windows(15)
                .any(|window| window == b"parameters\0caf\xe9")
        );
    }

    #[test]
    fn no_settings_is_none_and_a_broken_file_an_error() {
        let bytes = encode(&picture(), None).expect("encoded");
        assert_eq!(read_parameters(&bytes).expect("read"), None);
        assert!(matches!(
            read_parameters(&bytes[..20]),
            Err(PngError::Decode(_))
        ));
        assert!(matches!(
            encode(&RgbImage::new(0, 4), None),
            Err(PngError::Encode {
                width: 0,
                height: 4,
                ..
            })
        ));
    }
}
