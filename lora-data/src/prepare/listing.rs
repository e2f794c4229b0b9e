use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use super::{PrepareError, PrepareOptions};
use crate::{
    findings::{Findings, file_names},
    folder_listing::{FolderListing, stem},
    picture_folders::PictureFolders,
};

/// A picture to prepare, and what lies beside it.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) image: PathBuf,
    /// Its path below the folder, with `/` between names.
    pub(super) name: String,
    /// The same without extension: what its files are called in the out folder.
    pub(super) stem: String,
    /// Its caption files.
    pub(super) captions: Vec<PathBuf>,
    /// Its mask.
    pub(super) mask: Option<PathBuf>,
    /// Whether its name is Unicode, which the record needs.
    pub(super) has_unicode_name: bool,
}

impl Source {
    /// The folder below the one that was named, where it is in one.
    pub(super) fn folder(&self) -> Option<&str> {
        self.stem.rsplit_once('/').map(|(folder, _)| folder)
    }
}

/// The pictures of `folder`, in the order of their names, and notes on what was passed over.
///
/// # Errors
/// When a folder cannot be listed, there are no pictures, or two would become one file.
pub(super) fn sources(
    folder: &Path,
    options: &PrepareOptions,
) -> Result<(Vec<Source>, Vec<String>), PrepareError> {
    let mut findings = Findings::default();
    let extensions = &options.caption_extensions;
    let PictureFolders {
        listings,
        subfolders,
    } = PictureFolders::list(folder, options.recursive, extensions, &mut findings)
        .map_err(|(path, cause)| PrepareError::Folder { path, cause })?;
    let mut sources = Vec::new();
    for (path, listing) in &listings {
        note_passed_over(path, listing, &mut findings);
        sources.extend(of_listing(folder, listing));
    }
    if sources.is_empty() {
        let advice = if options.recursive || subfolders.is_empty() {
            String::new()
        } else {
            format!(
                "; --recursive enters the folders in it: {}",
                subfolders.join(", ")
            )
        };
        return Err(PrepareError::NoPictures {
            path: folder.into(),
            advice,
        });
    }
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    all_different(&sources)?;
    Ok((sources, findings.notes))
}

fn note_passed_over(folder: &Path, listing: &FolderListing, findings: &mut Findings) {
    for (text, names) in [
        (
            "pictures of a format that is not read",
            file_names(&listing.other_pictures),
        ),
        (
            "masks without a picture of that name",
            file_names(listing.masks_without_picture()),
        ),
        (
            "caption files without a picture of that name",
            file_names(listing.captions_without_picture()),
        ),
    ] {
        findings.note_names(folder, text, &names);
    }
}

fn of_listing<'a>(
    folder: &'a Path,
    listing: &'a FolderListing,
) -> impl Iterator<Item = Source> + 'a {
    listing.pictures.iter().map(move |image| {
        let below = image.strip_prefix(folder).unwrap_or(image);
        Source {
            image: image.clone(),
            name: with_slashes(below),
            stem: with_slashes(&below.with_file_name(stem(image))),
            captions: listing
                .captions
                .get(stem(image))
                .cloned()
                .unwrap_or_default(),
            mask: listing.masks.get(stem(image)).cloned(),
            has_unicode_name: below.to_str().is_some(),
        }
    })
}

/// A path with `/` between its names on every system.
fn with_slashes(path: &Path) -> String {
    let names: Vec<_> = path.iter().map(|name| name.to_string_lossy()).collect();
    names.join("/")
}

fn all_different(sources: &[Source]) -> Result<(), PrepareError> {
    let mut seen: BTreeMap<String, &Source> = BTreeMap::new();
    for source in sources {
        // Some file systems do not tell case apart.
        if let Some(first) = seen.insert(source.stem.to_lowercase(), source) {
            return Err(PrepareError::SameName {
                first: first.image.clone(),
                second: source.image.clone(),
                becomes: source.stem.clone(),
            });
        }
    }
    Ok(())
}
