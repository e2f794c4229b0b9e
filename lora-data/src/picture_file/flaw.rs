use std::path::PathBuf;

/// Why a file is refused as a picture. The text goes behind the file's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureFlaw {
    /// Not a file: a folder, a pipe, a device.
    #[error("is {what} and no file; remove or rename it")]
    NoFile {
        /// What it is.
        what: &'static str,
    },
    /// A link whose target is gone.
    #[error("is a link to {}, which is not there; remove or mend it", target.display())]
    LinkToNothing {
        /// What the link says.
        target: PathBuf,
    },
    /// The file is longer than any picture within the limits.
    #[error("has {bytes} bytes; files of more than {most} are not read")]
    TooLong {
        /// The file's length.
        bytes: u64,
        /// The most that is read.
        most: u64,
    },
    /// Content of another kind than pictures that can be read.
    #[error("is {what}, whatever its name says; {advice}")]
    Foreign {
        /// What the content is.
        what: &'static str,
        /// What to do about it.
        advice: &'static str,
    },
    /// Content that nothing is known about.
    #[error(
        "is no PNG, JPEG, WebP or BMP: it starts with the bytes {start}; save it again as PNG or JPEG, or remove it"
    )]
    Unknown {
        /// The first bytes in hexadecimal.
        start: String,
    },
    /// A side of no pixels.
    #[error("says that it is {width} × {height} pixels; it has nothing to show")]
    NoPixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// More pixels than the limits allow.
    #[error(
        "says that it is {width} × {height} pixels; more than {max_pixels} pixels or {max_side} a side are not read; \
         make it smaller"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The most pixels that are read.
        max_pixels: u64,
        /// The longest side that is read.
        max_side: u32,
    },
    /// The pixels would take more memory than the limits allow.
    #[error(
        "needs {needed} bytes of memory; more than {most} are not taken; make it smaller, or 8 bits per channel"
    )]
    TooMuchMemory {
        /// Bytes of its pixels as they are stored.
        needed: u64,
        /// The most that is taken.
        most: u64,
    },
    /// The file ends before its picture does.
    #[error("is cut short: {missing}; copy or download it again")]
    CutShort {
        /// What is not there.
        missing: String,
    },
    /// The file says things of itself that cannot all be true.
    #[error("contradicts itself: {reason}; save it again as PNG or JPEG, or remove it")]
    Contradiction {
        /// What does not agree.
        reason: String,
    },
    /// The picture is transparent where that was refused.
    #[error(
        "is transparent at {pixels} of its pixels; choose a matte colour or a mask, or flatten it"
    )]
    Transparent {
        /// How many pixels are not opaque.
        pixels: u64,
    },
}
