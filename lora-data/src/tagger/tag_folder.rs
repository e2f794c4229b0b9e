use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::TagError;
use crate::{
    findings::{Findings, file_names},
    folder_listing::{FolderListing, stem},
    picture_folders::PictureFolders,
};

/// A picture, and where its caption is or will be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PictureToTag {
    pub(crate) image: PathBuf,
    pub(crate) caption_file: PathBuf,
    /// Whether the caption file is there.
    pub(crate) has_file: bool,
}

/// The pictures of a folder, of the `N_class` folders in it, or, if `recursive`, of all folders in it; and notes on
/// what was passed over.
///
/// # Errors
/// When a folder cannot be listed, or there are no pictures.
pub(super) fn pictures_to_tag(
    folder: &Path,
    recursive: bool,
    extensions: &[String],
) -> Result<(Vec<PictureToTag>, Vec<String>), TagError> {
    let mut findings = Findings::default();
    let (pictures, _) = pictures_and_folders(folder, recursive, extensions, &mut findings)?;
    Ok((pictures, findings.notes))
}

/// Folders with what they hold.
pub(crate) type FolderListings = Vec<(PathBuf, FolderListing)>;

/// The pictures as [`pictures_to_tag`] finds them, and the folders that they are in.
///
/// # Errors
/// When a folder cannot be listed, or there are no pictures.
pub(crate) fn pictures_and_folders(
    folder: &Path,
    recursive: bool,
    extensions: &[String],
    findings: &mut Findings,
) -> Result<(Vec<PictureToTag>, FolderListings), TagError> {
    let PictureFolders {
        listings,
        subfolders,
    } = PictureFolders::list(folder, recursive, extensions, findings)
        .map_err(|(path, cause)| TagError::Folder { path, cause })?;
    let mut pictures = Vec::new();
    for (folder, listing) in &listings {
        findings.note_names(
            folder,
            "pictures of a format that is not read",
            &file_names(&listing.other_pictures),
        );
        pictures.extend(of_listing(folder, listing, extensions, findings));
    }
    if pictures.is_empty() {
        let advice = match subfolders.as_slice() {
            _ if recursive => String::new(),
            [] => String::new(),
            names => format!(
                "; --recursive enters the folders in it: {}",
                names.join(", ")
            ),
        };
        return Err(TagError::NoPictures {
            path: folder.into(),
            advice,
        });
    }
    Ok((pictures, listings))
}

/// The first of pictures that share a caption is tagged; the others are noted.
fn of_listing(
    folder: &Path,
    listing: &FolderListing,
    extensions: &[String],
    findings: &mut Findings,
) -> Vec<PictureToTag> {
    let mut stems = HashSet::new();
    let (firsts, others): (Vec<&PathBuf>, Vec<&PathBuf>) = listing
        .pictures
        .iter()
        .partition(|picture| stems.insert(stem(picture)));
    findings.note_names(
        folder,
        "passed over, for they share the caption of another picture",
        &file_names(others),
    );
    let extension = extensions.first().map_or("txt", String::as_str);
    let to_tag = |image: &PathBuf| {
        let there = listing
            .captions
            .get(stem(image))
            .and_then(|files| files.first());
        PictureToTag {
            image: image.clone(),
            caption_file: there
                .cloned()
                .unwrap_or_else(|| image.with_extension(extension)),
            has_file: there.is_some(),
        }
    };
    firsts.into_iter().map(to_tag).collect()
}
