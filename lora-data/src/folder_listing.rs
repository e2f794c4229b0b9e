use std::{
    collections::{BTreeMap, HashSet},
    ffi::{OsStr, OsString},
    fs, io,
    path::{Path, PathBuf},
};

/// Extensions of the pictures that can be decoded.
pub(crate) const PICTURES: [&str; 5] = ["png", "jpg", "jpeg", "webp", "bmp"];

/// Extensions of pictures that cannot: worth telling, where any other file is silently passed over.
const OTHER_PICTURES: [&str; 10] = [
    "gif", "tif", "tiff", "avif", "heic", "heif", "jxl", "jfif", "tga", "psd",
];

/// What a folder directly holds, each list sorted by name. Hidden files and folders are passed over.
#[derive(Debug, Default)]
pub(crate) struct FolderListing {
    /// Pictures that can be decoded, by their extension.
    pub(crate) pictures: Vec<PathBuf>,
    /// Files that are pictures of other formats.
    pub(crate) other_pictures: Vec<PathBuf>,
    /// Caption files by stem, those whose extension is named first in the config in front.
    pub(crate) captions: BTreeMap<OsString, Vec<PathBuf>>,
    /// Masks by the stem of their picture: `one` for `one-masklabel.png`.
    pub(crate) masks: BTreeMap<OsString, PathBuf>,
    /// Folders.
    pub(crate) subfolders: Vec<PathBuf>,
}

impl FolderListing {
    /// Lists `folder`; extensions are compared without regard to case.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub(crate) fn read(folder: &Path, caption_extensions: &[String]) -> io::Result<Self> {
        let mut paths = fs::read_dir(folder)?
            .map(|item| item.map(|item| item.path()))
            .filter(|path| !path.as_ref().is_ok_and(|path| is_hidden(path)))
            .collect::<io::Result<Vec<_>>>()?;
        paths.sort_unstable();
        let mut listing = Self::default();
        let mut captions: BTreeMap<OsString, Vec<(usize, PathBuf)>> = BTreeMap::new();
        for path in paths {
            if path.is_dir() {
                listing.subfolders.push(path);
            } else if let Some(stem) = mask_of(&path) {
                listing.masks.insert(stem, path);
            } else if has_extension(&path, &PICTURES) {
                listing.pictures.push(path);
            } else if let Some(rank) = caption_extensions
                .iter()
                .position(|one| has_extension(&path, &[one]))
            {
                captions
                    .entry(stem(&path).into())
                    .or_default()
                    .push((rank, path));
            } else if has_extension(&path, &OTHER_PICTURES) {
                listing.other_pictures.push(path);
            }
        }
        for (stem, mut ranked) in captions {
            ranked.sort_unstable();
            listing
                .captions
                .insert(stem, ranked.into_iter().map(|(_, path)| path).collect());
        }
        Ok(listing)
    }

    /// Caption files whose stem no picture has.
    pub(crate) fn captions_without_picture(&self) -> impl Iterator<Item = &PathBuf> {
        let stems = self.picture_stems();
        self.captions
            .iter()
            .filter(move |(stem, _)| !stems.contains(stem.as_os_str()))
            .flat_map(|(_, files)| files)
    }

    /// Masks whose picture is not there.
    pub(crate) fn masks_without_picture(&self) -> impl Iterator<Item = &PathBuf> {
        let stems = self.picture_stems();
        self.masks
            .iter()
            .filter(move |(stem, _)| !stems.contains(stem.as_os_str()))
            .map(|(_, file)| file)
    }

    fn picture_stems(&self) -> HashSet<&OsStr> {
        self.pictures.iter().map(|picture| stem(picture)).collect()
    }
}

/// The stem of the picture that a file named `STEM-masklabel.png` masks.
fn mask_of(path: &Path) -> Option<OsString> {
    let stem = stem(path).to_str()?.strip_suffix("-masklabel")?;
    has_extension(path, &["png"]).then(|| stem.into())
}

/// A file's name without its extension: what a picture and its caption have in common.
pub(crate) fn stem(path: &Path) -> &OsStr {
    path.file_stem().unwrap_or_default()
}

fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let matches = |extension: &OsStr| {
        extensions
            .iter()
            .any(|one| extension.eq_ignore_ascii_case(one.trim_start_matches('.')))
    };
    path.extension().is_some_and(matches)
}

/// Such as `._a.png` and `.ipynb_checkpoints`.
fn is_hidden(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
