use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use crate::{caption_file, concept::Concept, findings::file_name, folder_listing::stem};

/// A picture whose faces are to be cut out.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) image: PathBuf,
    /// Its file name: what the record calls it.
    pub(super) name: String,
    /// What its crops' names begin with: its stem, with its extension where another picture has that stem.
    crop_stem: String,
    caption_file: Option<PathBuf>,
    class_tokens: Option<String>,
    /// The index of its folder.
    pub(super) folder: usize,
}

impl Source {
    /// The pictures of a folder.
    pub(super) fn all_of(concept: &Concept, folder: usize) -> Vec<Self> {
        let pictures = &concept.listing.pictures;
        let mut stems: BTreeMap<String, usize> = BTreeMap::new();
        // Some file systems do not tell case apart.
        let folded = |path| stem(path).to_string_lossy().to_lowercase();
        for path in pictures {
            *stems.entry(folded(path)).or_default() += 1;
        }
        pictures
            .iter()
            .map(|image| Self {
                image: image.clone(),
                name: file_name(image),
                crop_stem: if stems[&folded(image)] > 1 {
                    with_extension_in_it(image)
                } else {
                    stem(image).to_string_lossy().into_owned()
                },
                caption_file: captions(concept, image).cloned(),
                class_tokens: concept.class_tokens.clone(),
                folder,
            })
            .collect()
    }

    /// The picture's caption: the text of its file, else the class tokens, else nothing.
    ///
    /// # Errors
    /// When the file cannot be read or is not UTF-8, in words.
    pub(super) fn caption(&self) -> Result<String, String> {
        match &self.caption_file {
            Some(path) => caption_file::read_text(path).map_err(|problem| problem.to_string()),
            None => Ok(self.class_tokens.clone().unwrap_or_default()),
        }
    }

    /// The picture's bytes.
    ///
    /// # Errors
    /// When the file cannot be read, in words.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, String> {
        fs::read(&self.image)
            .map_err(|cause| format!("{}: cannot be read: {cause}", self.image.display()))
    }

    /// The file name of the crop of the face with this number, from 1.
    pub(super) fn crop_name(&self, number: usize) -> String {
        format!("{}_face{number}.png", self.crop_stem)
    }

    /// The extension of the caption files of its crops.
    pub(super) fn caption_extension<'a>(&'a self, configured: &'a [String]) -> &'a OsStr {
        let own = self
            .caption_file
            .as_deref()
            .and_then(|path| path.extension());
        let first = || configured.first().map(|one| one.trim_start_matches('.'));
        own.or_else(|| first().map(OsStr::new))
            .unwrap_or(OsStr::new("txt"))
    }
}

fn captions<'a>(concept: &'a Concept, image: &Path) -> Option<&'a PathBuf> {
    concept.listing.captions.get(stem(image))?.first()
}

/// `a.jpg` → `a_jpg`.
fn with_extension_in_it(image: &Path) -> String {
    let extension = image.extension().unwrap_or_default();
    format!(
        "{}_{}",
        stem(image).to_string_lossy(),
        extension.to_string_lossy()
    )
}
