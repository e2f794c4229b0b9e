use super::PictureFlaw;

/// How large a picture file may be. Whatever is larger is refused by what its header says, before memory is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PictureLimits {
    /// Most pixels, width × height.
    pub max_pixels: u64,
    /// Most pixels along a side.
    pub max_side: u32,
    /// Most bytes that the file may have, and most bytes of its pixels as they are stored: 3 a pixel for RGB, 8 for RGBA
    /// of 16 bits. Decoding takes up to about three times as much for a while.
    pub max_memory: u64,
}

impl Default for PictureLimits {
    /// 200 megapixels (what the largest phone cameras take), sides of 65,535 (what JPEG can say), 1 GiB.
    fn default() -> Self {
        Self {
            max_pixels: 200_000_000,
            max_side: 65_535,
            max_memory: 1 << 30,
        }
    }
}

impl PictureLimits {
    pub(super) fn check_size(&self, (width, height): (u32, u32)) -> Result<(), PictureFlaw> {
        let Self {
            max_pixels,
            max_side,
            ..
        } = *self;
        if width == 0 || height == 0 {
            return Err(PictureFlaw::NoPixels { width, height });
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels > max_pixels || width.max(height) > max_side {
            return Err(PictureFlaw::TooLarge {
                width,
                height,
                max_pixels,
                max_side,
            });
        }
        Ok(())
    }

    pub(super) fn check_memory(&self, needed: u64) -> Result<(), PictureFlaw> {
        let most = self.max_memory;
        if needed > most {
            return Err(PictureFlaw::TooMuchMemory { needed, most });
        }
        Ok(())
    }
}
