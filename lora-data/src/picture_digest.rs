use std::path::Path;

use sha2::{Digest, Sha256};

use crate::{DataError, Fit, View, masks::Mask, parts_digest};

/// Counts up whenever the same file and settings give other pixels than before.
const VERSION: u32 = 1;

/// A name for the pixels of a picture in one of its fixed views; `None` for other views.
pub(crate) fn digest(
    image: &Path,
    mask: Option<&Mask>,
    fit: &Fit,
    view: &View,
) -> Result<Option<[u8; 32]>, DataError> {
    if !view.is_fixed() {
        return Ok(None);
    }
    let mut hash = Sha256::new();
    for number in [
        VERSION,
        fit.resized.0,
        fit.resized.1,
        fit.bucket.width,
        fit.bucket.height,
        u32::from(view.flip),
    ] {
        hash.update(number.to_le_bytes());
    }
    hash.update(file_hash(image)?);
    match mask {
        None => hash.update([0]),
        Some(Mask::Alpha { unmasked_weight }) => {
            hash.update([1]);
            hash.update(unmasked_weight.to_le_bytes());
        }
        Some(Mask::File {
            path,
            unmasked_weight,
        }) => {
            hash.update([2]);
            hash.update(unmasked_weight.to_le_bytes());
            hash.update(file_hash(path)?);
        }
    }
    Ok(Some(hash.finalize().into()))
}

fn file_hash(path: &Path) -> Result<[u8; 32], DataError> {
    parts_digest::file_hash(path).map_err(|cause| DataError::read(path, cause))
}
