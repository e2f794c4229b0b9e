use std::path::Path;

use image::{
    DynamicImage, GrayImage, ImageDecoder, ImageError, ImageResult, Limits, RgbImage,
    codecs::{bmp::BmpDecoder, jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder},
};

use super::{
    DecodeOptions, PictureFlaw, PictureLimits, alpha, colour_profile,
    format::Format,
    outline::{LONGEST_EXTRA, Outline},
    source::Source,
};
use crate::DataError;

/// What the PNG decoder may take for what is not pixels: texts, colour profile and the like, unpacked.
const PNG_EXTRAS: u64 = 32 << 20;

/// A picture as [`decode`] gives it.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The picture in sRGB, turned as its EXIF data says.
    pub picture: RgbImage,
    /// How opaque each pixel is, in the picture's size; only with [`AlphaPolicy::Mask`](super::AlphaPolicy::Mask), and
    /// `None` where every pixel is opaque.
    pub alpha: Option<GrayImage>,
}

/// Decodes a picture to what a viewer shows: turned as its EXIF data says, its colour profile turned into sRGB, 8 bits
/// per channel. A picture without a profile counts as sRGB, and so, with a warning in the log, does one whose profile
/// cannot be used. Of an animation it is the first frame.
///
/// The format is told by the file's content, so a WebP named `.png` is read too. Never waits for a pipe.
///
/// # Errors
/// When the file cannot be read, is empty, cut short, contradicts itself, goes beyond the limits, is no picture that can
/// be read, or is transparent where `options` refuse that. The error names the file.
pub fn decode(path: &Path, options: &DecodeOptions) -> Result<Decoded, DataError> {
    let limits = &options.limits;
    let mut source = Source::open(path, limits)?;
    let outline = Outline::read(&mut source, limits)?;
    let mut stored = stored(source, &outline, limits)?;
    if outline.animated {
        tracing::warn!("{}: is animated; its first frame is used", path.display());
    }
    if let Some(profile) = &stored.colour_profile
        && let Err(reason) = colour_profile::to_srgb(&mut stored.picture, profile)
    {
        tracing::warn!(
            "{}: its colour profile is not used: {reason}",
            path.display()
        );
    }
    stored.picture.apply_orientation(outline.orientation());
    let (picture, alpha) = alpha::separate(stored.picture, options.alpha)
        .map_err(|flaw| DataError::picture(path, flaw))?;
    Ok(Decoded { picture, alpha })
}

/// Width and height of a picture once turned as its EXIF data says, told from the file's structure without decoding it.
///
/// # Errors
/// When the file cannot be read, is empty, cut short, contradicts itself, goes beyond the limits or is no picture that
/// can be read. What is wrong within the compressed pixels shows in [`decode`] only.
pub fn dimensions(path: &Path, limits: &PictureLimits) -> Result<(u32, u32), DataError> {
    let mut source = Source::open(path, limits)?;
    Ok(Outline::read(&mut source, limits)?.turned_size())
}

/// The pixels as the file stores them, and its colour profile.
struct Stored {
    picture: DynamicImage,
    colour_profile: Option<Vec<u8>>,
}

/// Why pixels could not be unpacked.
enum Failure {
    Decoder(ImageError),
    Flaw(PictureFlaw),
}

impl From<ImageError> for Failure {
    fn from(cause: ImageError) -> Self {
        Self::Decoder(cause)
    }
}

fn stored(
    source: Source<'_>,
    outline: &Outline,
    limits: &PictureLimits,
) -> Result<Stored, DataError> {
    let path = source.path;
    let format = source.format;
    let reader = source.up_to(outline.end)?;
    let stored = match format {
        Format::Png => {
            let mut allowed = Limits::no_limits();
            allowed.max_alloc = Some(PNG_EXTRAS);
            unpack(
                PngDecoder::with_limits(reader, allowed),
                outline,
                limits,
                Profile::Asked,
            )
        }
        Format::Jpeg => unpack(JpegDecoder::new(reader), outline, limits, Profile::Asked),
        Format::WebP => unpack(WebPDecoder::new(reader), outline, limits, Profile::Outlined),
        Format::Bmp => unpack(BmpDecoder::new(reader), outline, limits, Profile::Asked),
    };
    stored.map_err(|failure| match failure {
        Failure::Decoder(cause) => DataError::Decode {
            path: path.into(),
            cause,
        },
        Failure::Flaw(flaw) => DataError::picture(path, flaw),
    })
}

/// Who knows a picture's colour profile.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// The decoder is asked for it where the outline has none.
    Asked,
    /// The outline has it, unless it is too long; the decoder would take memory for any length.
    Outlined,
}

/// Compares what the decoder makes of the header with what was checked, for memory is taken by the former.
fn unpack(
    decoder: ImageResult<impl ImageDecoder>,
    outline: &Outline,
    limits: &PictureLimits,
    profile: Profile,
) -> Result<Stored, Failure> {
    let mut decoder = decoder?;
    limits
        .check_size(decoder.dimensions())
        .and_then(|()| limits.check_memory(decoder.total_bytes()))
        .map_err(Failure::Flaw)?;
    let colour_profile = match &outline.colour_profile {
        Some(profile) => Some(profile.clone()),
        None if profile == Profile::Asked => decoder.icc_profile().ok().flatten(),
        None => None,
    };
    Ok(Stored {
        picture: DynamicImage::from_decoder(decoder)?,
        colour_profile: colour_profile.filter(|profile| profile.len() as u64 <= LONGEST_EXTRA),
    })
}
