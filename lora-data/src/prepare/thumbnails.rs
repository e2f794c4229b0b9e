use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use atomic_file::write_atomically;
use image::{DynamicImage, RgbImage};

use super::{OutputFormat, PrepareError, cut_plan::scaled_down, encoding::encode};
use crate::cover_crop::resized;

/// The folder in the out folder; the dot keeps it out of datasets.
const FOLDER: &str = ".prepare";
/// The longer side in pixels.
const SIDE: u32 = 200;
const QUALITY: u8 = 82;

/// Small pictures of what was there and what became of it, for a contact sheet.
#[derive(Debug)]
pub(super) struct Thumbnails(PathBuf);

impl Thumbnails {
    pub(super) fn new(output: &Path) -> Self {
        Self(output.join(FOLDER))
    }

    /// That of a picture whose inputs have this digest.
    pub(super) fn before(&self, inputs: &str) -> PathBuf {
        self.0.join(format!("{}-before.jpg", start(inputs)))
    }

    /// That of what was made of it.
    pub(super) fn after(&self, inputs: &str) -> PathBuf {
        self.0.join(format!("{}-after.jpg", start(inputs)))
    }

    /// Writes a thumbnail.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, path: &Path, picture: &RgbImage) -> Result<(), PrepareError> {
        let picture = DynamicImage::from(picture.clone());
        let size = scaled_down((picture.width(), picture.height()), Some(SIDE));
        let encoded = resized(&picture, size)
            .map_err(|error| error.to_string())
            .and_then(|small| encode(&small, OutputFormat::Jpeg { quality: QUALITY }));
        // A picture without a thumbnail is shown by its name.
        let Ok(bytes) = encoded else { return Ok(()) };
        fs::create_dir_all(&self.0).map_err(|cause| PrepareError::file(&self.0, cause))?;
        Ok(write_atomically(path, |file| file.write_all(&bytes))?)
    }

    /// Removes those that no picture has any more.
    pub(super) fn keep(&self, wanted: &BTreeSet<PathBuf>) {
        let entries = fs::read_dir(&self.0).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let is_ours = name.ends_with("-before.jpg") || name.ends_with("-after.jpg");
            if is_ours && !wanted.contains(&path) {
                // One that stays takes up a little room, and nothing else.
                let _ = fs::remove_file(&path);
            }
        }
    }
}

fn start(digest: &str) -> &str {
    digest.get(..32).unwrap_or(digest)
}
