use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::TagError;
use crate::{
    KohyaName,
    findings::{Findings, file_name, file_names},
    folder_listing::{FolderListing, stem},
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
    let listing = list(folder, extensions)?;
    let subfolders = file_names(&listing.subfolders);
    let listings = if recursive {
        all_below(folder, listing, extensions)?
    } else {
        leaf_or_parent(folder, listing, extensions, findings)?
    };
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

fn list(folder: &Path, extensions: &[String]) -> Result<FolderListing, TagError> {
    FolderListing::read(folder, extensions).map_err(|cause| TagError::Folder {
        path: folder.into(),
        cause,
    })
}

/// As training reads it: a folder is a parent when it holds `N_class` folders, unless it is named so itself and holds
/// pictures.
fn leaf_or_parent(
    folder: &Path,
    listing: FolderListing,
    extensions: &[String],
    findings: &mut Findings,
) -> Result<FolderListings, TagError> {
    let is_named = |path: &Path| KohyaName::parse(&file_name(path)).is_some();
    let (children, others): (Vec<PathBuf>, Vec<PathBuf>) = listing
        .subfolders
        .iter()
        .cloned()
        .partition(|path| is_named(path));
    let whole_path = folder.canonicalize().unwrap_or_else(|_| folder.into());
    let is_leaf = is_named(&whole_path) && !listing.pictures.is_empty();
    if children.is_empty() || is_leaf {
        let not_entered = file_names(&listing.subfolders);
        findings.note_names(folder, "folders in it are not entered", &not_entered);
        return Ok(vec![(folder.into(), listing)]);
    }
    findings.note_names(folder, "read as the parent of", &file_names(&children));
    let left_out = file_names(&listing.pictures);
    findings.note_names(
        folder,
        "pictures beside the N_class folders are left out",
        &left_out,
    );
    findings.note_names(
        folder,
        "folders in it are not entered",
        &file_names(&others),
    );
    let read = |child: PathBuf| list(&child, extensions).map(|listing| (child, listing));
    children.into_iter().map(read).collect()
}

/// All folders below, each once, however links lead to it.
fn all_below(
    folder: &Path,
    listing: FolderListing,
    extensions: &[String],
) -> Result<FolderListings, TagError> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.into());
    let mut seen = HashSet::from([real(folder)]);
    let mut found = Vec::new();
    let mut waiting = vec![(folder.to_path_buf(), listing)];
    while let Some((folder, listing)) = waiting.pop() {
        for subfolder in listing.subfolders.iter().rev() {
            if seen.insert(real(subfolder)) {
                waiting.push((subfolder.clone(), list(subfolder, extensions)?));
            }
        }
        found.push((folder, listing));
    }
    Ok(found)
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
