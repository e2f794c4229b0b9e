use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use image::GrayImage;

use crate::{
    DataError, Entry, Fit, MaskSource, Problem, View, cover_crop::cover_crop_mask,
    findings::Findings, group::Group, picture_file,
};

/// Where one picture's mask comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mask {
    /// A grey picture, white where the loss counts.
    File { path: PathBuf, unmasked_weight: f64 },
    /// The picture's opacity.
    Alpha { unmasked_weight: f64 },
}

/// The masks of all pictures that have one, by subset and picture.
pub(crate) fn find_masks(
    entries: &[Entry],
    groups: &[Group],
    findings: &mut Findings,
) -> BTreeMap<(usize, PathBuf), Mask> {
    let mut masks = BTreeMap::new();
    for entry in entries {
        let config = groups[entry.subset].mask;
        let unmasked_weight = config.unmasked_weight;
        let mask = match config.source {
            MaskSource::None => continue,
            MaskSource::Alpha => Mask::Alpha { unmasked_weight },
            MaskSource::File => {
                let path = file_of(&entry.image);
                if !path.is_file() {
                    continue;
                }
                findings.problems.extend(misfit(entry, &path));
                Mask::File {
                    path,
                    unmasked_weight,
                }
            }
        };
        masks.insert((entry.subset, entry.image.clone()), mask);
    }
    masks
}

/// `one-masklabel.png` beside `one.jpg`.
fn file_of(image: &Path) -> PathBuf {
    let mut name = image.file_stem().unwrap_or_default().to_owned();
    name.push("-masklabel.png");
    image.with_file_name(name)
}

/// A mask that cannot be read or has other proportions than its picture.
fn misfit(entry: &Entry, path: &Path) -> Option<Problem> {
    let mask = match picture_file::decode(path) {
        Ok(mask) => mask,
        Err(error) => return Some(Problem::Picture(error)),
    };
    let [width, height] = [entry.size.0, entry.size.1].map(f64::from);
    let [mask_width, mask_height] = [mask.width(), mask.height()].map(f64::from);
    // One pixel of rounding along the mask's shorter side.
    let fits = (mask_width * height - mask_height * width).abs() <= width.max(height);
    (!fits && entry.size.0 > 0).then(|| Problem::MaskMisfit {
        path: path.into(),
        size: mask.dimensions(),
        picture: entry.size,
    })
}

impl Mask {
    /// The weight of each pixel of a view, `height × width` values; `None` where the picture has no transparency.
    pub(crate) fn weights(
        &self,
        image: &Path,
        alpha: Option<GrayImage>,
        fit: &Fit,
        view: &View,
    ) -> Result<Option<Vec<f32>>, DataError> {
        let (mask, unmasked_weight) = match self {
            Self::File {
                path,
                unmasked_weight,
            } => {
                let mask = image::DynamicImage::from(picture_file::decode(path)?).into_luma8();
                (Some(mask), *unmasked_weight)
            }
            Self::Alpha { unmasked_weight } => (alpha, *unmasked_weight),
        };
        let Some(mask) = mask else {
            return Ok(None);
        };
        let mask = cover_crop_mask(mask, fit, view).map_err(|error| DataError::Resize {
            path: image.into(),
            reason: error.to_string(),
        })?;
        let weight = |byte: &u8| {
            let covered = f64::from(*byte) / 255.0;
            (unmasked_weight + (1.0 - unmasked_weight) * covered) as f32
        };
        Ok(Some(mask.as_raw().iter().map(weight).collect()))
    }
}
