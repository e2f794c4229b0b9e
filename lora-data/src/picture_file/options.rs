use super::PictureLimits;

/// How a picture file is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeOptions {
    /// What becomes of transparency.
    pub alpha: AlphaPolicy,
    /// How large the picture may be.
    pub limits: PictureLimits,
}

/// What becomes of transparency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlphaPolicy {
    /// The picture is laid over this colour (red, green, blue, in sRGB), as browsers and Pillow do.
    Matte([u8; 3]),
    /// Colours stay as they are stored, also where they cannot be seen; the transparency comes beside them.
    Mask,
    /// A picture that is transparent anywhere is an error.
    Refuse,
}

impl Default for AlphaPolicy {
    /// Over white.
    fn default() -> Self {
        Self::Matte([255; 3])
    }
}
