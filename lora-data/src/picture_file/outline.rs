use std::io;

use image::metadata::Orientation;

use super::{
    PictureFlaw, PictureLimits, bmp_outline, format::Format, jpeg_outline, png_outline,
    source::Source, webp_outline,
};
use crate::DataError;

/// Longest EXIF data and colour profile that are looked at; longer ones are passed over.
pub(super) const LONGEST_EXTRA: u64 = 4 << 20;

/// What a picture file says of itself, told from its structure before anything is unpacked.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outline {
    /// Width and height in pixels as they are stored.
    pub(super) size: (u32, u32),
    /// Where the picture ends in the file; what follows was appended.
    pub(super) end: u64,
    /// EXIF data, from its byte order mark on.
    pub(super) exif: Option<Vec<u8>>,
    /// The embedded colour profile, where no decoder need unpack it.
    pub(super) colour_profile: Option<Vec<u8>>,
    /// Whether the file holds several frames.
    pub(super) animated: bool,
}

impl Outline {
    /// Reads the structure of a file and checks that it is whole and within the limits.
    pub(super) fn read(source: &mut Source<'_>, limits: &PictureLimits) -> Result<Self, DataError> {
        let read = match source.format {
            Format::Png => png_outline::read(source),
            Format::Jpeg => jpeg_outline::read(source),
            Format::WebP => webp_outline::read(source),
            Format::Bmp => bmp_outline::read(source),
        };
        let path = source.path;
        let outline = read.map_err(|error| match error {
            OutlineError::Read(cause) => DataError::read(path, cause),
            OutlineError::Flaw(flaw) => DataError::picture(path, flaw),
        })?;
        limits
            .check_size(outline.size)
            .map_err(|flaw| DataError::picture(path, flaw))?;
        Ok(outline)
    }

    /// How the stored picture is turned to be seen; not at all where the EXIF data cannot be read.
    pub(super) fn orientation(&self) -> Orientation {
        self.exif
            .as_deref()
            .and_then(Orientation::from_exif_chunk)
            .unwrap_or(Orientation::NoTransforms)
    }

    /// Width and height as they are seen.
    pub(super) fn turned_size(&self) -> (u32, u32) {
        let (width, height) = self.size;
        match self.orientation() {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => (height, width),
            _ => (width, height),
        }
    }
}

/// What reading a file's structure can meet.
#[derive(Debug)]
pub(super) enum OutlineError {
    Read(io::Error),
    Flaw(PictureFlaw),
}

impl From<PictureFlaw> for OutlineError {
    fn from(flaw: PictureFlaw) -> Self {
        Self::Flaw(flaw)
    }
}

impl From<io::Error> for OutlineError {
    fn from(cause: io::Error) -> Self {
        match cause.kind() {
            io::ErrorKind::UnexpectedEof => cut_short("the file ends within its header"),
            _ => Self::Read(cause),
        }
    }
}

pub(super) fn cut_short(missing: impl Into<String>) -> OutlineError {
    PictureFlaw::CutShort {
        missing: missing.into(),
    }
    .into()
}

pub(super) fn contradiction(reason: impl Into<String>) -> OutlineError {
    PictureFlaw::Contradiction {
        reason: reason.into(),
    }
    .into()
}

/// Checks that a size is within the limits, and that the file's `stored` bytes can unpack to it, of which at least
/// `least` are needed.
pub(super) fn check_enough(
    limits: &PictureLimits,
    (width, height): (u32, u32),
    stored: u64,
    least: u64,
) -> Result<(), OutlineError> {
    limits.check_size((width, height))?;
    if stored < least {
        return Err(contradiction(format!(
            "{stored} bytes cannot hold the {width} × {height} pixels of its header"
        )));
    }
    Ok(())
}
