use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use crate::{
    KohyaName,
    findings::{Findings, file_name, file_names},
    folder_listing::FolderListing,
};

/// The folders that a tool over pictures goes through.
#[derive(Debug)]
pub(crate) struct PictureFolders {
    /// Each folder with what it holds.
    pub(crate) listings: Vec<(PathBuf, FolderListing)>,
    /// The names of the folders in the one that was named.
    pub(crate) subfolders: Vec<String>,
}

/// A folder that could not be listed.
type ListError = (PathBuf, io::Error);

impl PictureFolders {
    /// `folder` itself, the `N_class` folders in it, or, if `recursive`, it and all folders in it.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub(crate) fn list(
        folder: &Path,
        recursive: bool,
        extensions: &[String],
        findings: &mut Findings,
    ) -> Result<Self, ListError> {
        let listing = list(folder, extensions)?;
        let subfolders = file_names(&listing.subfolders);
        let listings = if recursive {
            all_below(folder, listing, extensions)?
        } else {
            leaf_or_parent(folder, listing, extensions, findings)?
        };
        Ok(Self {
            listings,
            subfolders,
        })
    }
}

fn list(folder: &Path, extensions: &[String]) -> Result<FolderListing, ListError> {
    FolderListing::read(folder, extensions).map_err(|cause| (folder.into(), cause))
}

/// As training reads it: a folder is a parent when it holds `N_class` folders, unless it is named so itself and holds
/// pictures.
fn leaf_or_parent(
    folder: &Path,
    listing: FolderListing,
    extensions: &[String],
    findings: &mut Findings,
) -> Result<Vec<(PathBuf, FolderListing)>, ListError> {
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
) -> Result<Vec<(PathBuf, FolderListing)>, ListError> {
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
