use image::{DynamicImage, RgbImage};
use serde::{Deserialize, Serialize};

use super::{cut_plan::scaled_down, perceptual_hash::PerceptualHash, sharpness::sharpness};
use crate::cover_crop::resized;

/// The longer side of the small copy at which pictures are looked at, in pixels.
const SIDE: u32 = 512;

/// What a picture is like, whatever is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Survey {
    /// Width and height in pixels, as it is shown.
    pub size: (u32, u32),
    /// The variance of the Laplacian of its brightness (0 to 255) at 512 pixels along the longer side; smaller pictures
    /// are measured as they are. Photographs have several hundred, clearly blurred ones less than 50; pictures of little
    /// but even areas have little too.
    pub sharpness: u32,
    /// What it looks like, to find copies.
    pub(super) hash: PerceptualHash,
}

impl Survey {
    /// Looks at a picture of `size` pixels by its small copy.
    pub(super) fn of(small: &RgbImage, size: (u32, u32)) -> Self {
        Self {
            size,
            sharpness: sharpness(&DynamicImage::from(small.clone()).into_luma8()),
            hash: PerceptualHash::of(small.clone()),
        }
    }

    /// How many pixels it has.
    pub(super) fn pixels(&self) -> u64 {
        u64::from(self.size.0) * u64::from(self.size.1)
    }
}

/// The small copy of a picture.
///
/// # Errors
/// When the resizer refuses its size, in words.
pub(crate) fn small_copy(picture: &DynamicImage) -> Result<RgbImage, String> {
    let size = (picture.width(), picture.height());
    let small = scaled_down(size, Some(SIDE));
    if small == size {
        return Ok(picture.to_rgb8());
    }
    let small = resized(picture, small).map_err(|error| error.to_string())?;
    Ok(small.into_rgb8())
}
