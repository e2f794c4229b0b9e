use std::{fs, path::Path};

use image::{DynamicImage, GrayImage};

use super::listing::Source;
use crate::{cover_crop::resized, findings::file_name, picture_file};

/// What lies beside a picture and comes along with it.
#[derive(Debug)]
pub(super) struct Carried {
    /// Caption files: their paths below the out folder, and their bytes.
    pub(super) captions: Vec<(String, Vec<u8>)>,
    /// The bytes of the mask's file.
    mask: Option<Vec<u8>>,
}

impl Carried {
    /// Reads the captions, and the mask's bytes.
    ///
    /// # Errors
    /// When a file cannot be read, in words.
    pub(super) fn read(source: &Source) -> Result<Self, String> {
        let read = |path: &Path| {
            fs::read(path).map_err(|cause| format!("{}: cannot be read: {cause}", path.display()))
        };
        let mut captions = Vec::new();
        for path in &source.captions {
            let name = file_name(path);
            let name = match source.folder() {
                Some(folder) => format!("{folder}/{name}"),
                None => name,
            };
            captions.push((name, read(path)?));
        }
        let mask = source.mask.as_deref().map(read).transpose()?;
        Ok(Self { captions, mask })
    }

    /// All that the files made of a picture depend on, beside the picture.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        let captions = self.captions.iter();
        let mut parts: Vec<&[u8]> = captions
            .flat_map(|(name, bytes)| [name.as_bytes(), bytes])
            .collect();
        parts.extend(self.mask.as_deref());
        parts
    }
}

/// The mask of a picture of `size` pixels, in that size; `None` where it has none.
///
/// # Errors
/// When it cannot be read or has other proportions than its picture, in words.
pub(super) fn mask(source: &Source, size: (u32, u32)) -> Result<Option<GrayImage>, String> {
    let Some(path) = &source.mask else {
        return Ok(None);
    };
    let mask = picture_file::decode(path).map_err(|error| error.to_string())?;
    let mask = DynamicImage::from(DynamicImage::from(mask).into_luma8());
    let (width, height) = (f64::from(mask.width()), f64::from(mask.height()));
    // One pixel of rounding along the mask's shorter side, as in training.
    let misfit = (width * f64::from(size.1) - height * f64::from(size.0)).abs();
    if misfit > f64::from(size.0.max(size.1)) {
        return Err(format!(
            "{}: is {width}×{height} pixels, but its picture is {}×{}: a mask has the proportions of its picture",
            path.display(),
            size.0,
            size.1
        ));
    }
    if (mask.width(), mask.height()) == size {
        return Ok(Some(mask.into_luma8()));
    }
    let mask = resized(&mask, size).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(Some(mask.into_luma8()))
}
