use std::io::Cursor;

use image::{
    DynamicImage, ImageFormat, ImageResult,
    codecs::{jpeg::JpegEncoder, webp::WebPEncoder},
};

use super::OutputFormat;

/// A picture as a file's bytes, the same on every machine.
///
/// # Errors
/// When the encoder refuses it, in words.
pub(super) fn encode(picture: &DynamicImage, format: OutputFormat) -> Result<Vec<u8>, String> {
    encoded(picture, format).map_err(|error| error.to_string())
}

fn encoded(picture: &DynamicImage, format: OutputFormat) -> ImageResult<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    match format {
        OutputFormat::Png => picture.write_to(&mut bytes, ImageFormat::Png)?,
        OutputFormat::Webp => picture.write_with_encoder(WebPEncoder::new_lossless(&mut bytes))?,
        OutputFormat::Jpeg { quality } => {
            picture.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))?;
        }
    }
    Ok(bytes.into_inner())
}
