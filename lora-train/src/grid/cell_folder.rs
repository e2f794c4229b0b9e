use std::{
    collections::BTreeSet,
    fs, io,
    io::Write,
    path::{Path, PathBuf},
};

use atomic_file::{WriteError, write_atomically};
use image::RgbImage;
use serde::Serialize;
use thiserror::Error;

use super::{Drawing, Fingerprints, GridPlan, SheetPlan, drawing::Ingredients};
use crate::picture::{PngError, png};

/// The name of the plan file.
const PLAN: &str = "plan.json";
/// A picture's name is its digest of so many digits.
const DIGITS: usize = 32;

/// The pictures of a grid on the disk, each in a file named by its digest, and `plan.json`, which says what they show.
///
/// A picture that is there need not be drawn again: its name says that nothing about it has changed. Files of other names
/// are left alone.
#[derive(Clone, Debug)]
pub struct CellFolder {
    path: PathBuf,
}

/// Why pictures cannot be kept.
#[derive(Debug, Error)]
pub enum CellFolderError {
    /// The folder cannot be made, listed or cleared.
    #[error("{}: {source}", .path.display())]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A picture cannot be encoded.
    #[error(transparent)]
    Png(#[from] PngError),
}

#[derive(Serialize)]
struct PlanDocument<'a> {
    pictures: Vec<PictureDocument<'a>>,
    sheets: &'a [SheetPlan],
}

#[derive(Serialize)]
struct PictureDocument<'a> {
    file: String,
    #[serde(flatten)]
    ingredients: Ingredients<'a>,
}

impl CellFolder {
    /// Makes the folder if need be.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, CellFolderError> {
        let path = path.into();
        fs::create_dir_all(&path).map_err(|source| CellFolderError::Folder {
            path: path.clone(),
            source,
        })?;
        Ok(Self { path })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where a picture is, or will be.
    pub fn file(&self, drawing: &Drawing) -> PathBuf {
        self.path.join(&drawing.digest).with_extension("png")
    }

    /// Whether a picture is there.
    pub fn has(&self, drawing: &Drawing) -> bool {
        image::image_dimensions(self.file(drawing)).is_ok_and(|size| size == drawing.size.into())
    }

    /// Keeps a picture, with its settings as A1111 writes them.
    ///
    /// # Errors
    /// [`CellFolderError`].
    pub fn put(&self, drawing: &Drawing, picture: &RgbImage) -> Result<(), CellFolderError> {
        let bytes = png::encode(picture, Some(&drawing.parameters))?;
        write_atomically(self.file(drawing), |file| file.write_all(&bytes))?;
        Ok(())
    }

    /// Writes `plan.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_plan(
        &self,
        plan: &GridPlan,
        fingerprints: &Fingerprints,
    ) -> Result<(), CellFolderError> {
        let pictures = plan.drawings.iter().map(|drawing| PictureDocument {
            file: format!("{}.png", drawing.digest),
            ingredients: drawing.ingredients(fingerprints),
        });
        let document = PlanDocument {
            pictures: pictures.collect(),
            sheets: &plan.sheets,
        };
        write_atomically(self.path.join(PLAN), |file| {
            serde_json::to_writer_pretty(&mut *file, &document)?;
            file.write_all(b"\n")
        })?;
        Ok(())
    }

    /// Removes the pictures that are not in `plan`; all where there is none.
    ///
    /// # Errors
    /// When the folder cannot be listed or a file not be removed.
    pub fn clear(&self, plan: Option<&GridPlan>) -> Result<(), CellFolderError> {
        let drawings = plan.map_or(&[][..], |plan| &plan.drawings);
        let kept: BTreeSet<PathBuf> = drawings.iter().map(|drawing| self.file(drawing)).collect();
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| CellFolderError::Folder { path, source }
        };
        for entry in fs::read_dir(&self.path).map_err(failed(&self.path))? {
            let path = entry.map_err(failed(&self.path))?.path();
            if is_picture(&path) && !kept.contains(&path) {
                fs::remove_file(&path).map_err(failed(&path))?;
            }
        }
        Ok(())
    }
}

/// Whether a file bears a name that [`CellFolder::file`] gives.
fn is_picture(path: &Path) -> bool {
    let is_digest =
        |stem: &str| stem.len() == DIGITS && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
    path.extension().is_some_and(|end| end == "png")
        && path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .is_some_and(is_digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::example::{Painter, plan, request};

    #[test]
    fn only_its_own_pictures_are_cleared() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = CellFolder::create(parent.path().join("a/b.cells")).expect("a folder");
        let plan = plan(&request());
        plan.draw(&folder, &mut Painter::default(), |_| {
            crate::Flow::Continue(())
        })
        .expect("drawn");
        for foreign in ["holiday.png", "0123.png", "notes.txt"] {
            fs::write(folder.path().join(foreign), "").expect("written");
        }
        let stale = folder.path().join(format!("{}.png", "a".repeat(32)));
        fs::write(&stale, "").expect("written");
        folder.clear(Some(&plan)).expect("cleared");
        assert!(!stale.exists());
        assert!(plan.drawings.iter().all(|drawing| folder.has(drawing)));
        folder.clear(None).expect("cleared");
        let left = fs::read_dir(folder.path()).expect("a folder").count();
        assert_eq!(left, 3);
    }

    #[test]
    fn the_plan_says_what_each_file_shows() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = CellFolder::create(parent.path()).expect("a folder");
        let plan = plan(&request());
        folder
            .write_plan(&plan, &Fingerprints::default())
            .expect("written");
        let text = fs::read(parent.path().join(PLAN)).expect("a plan");
        let document: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
        let picture = &document["pictures"][2];
        assert_eq!(picture["file"], format!("{}.png", plan.drawings[2].digest));
        assert_eq!(picture["loras"][0]["name"], "dog-000002");
        assert_eq!(picture["loras"][0]["unet"], 0.5);
        assert_eq!(picture["prompt"]["seed"], 1);
        assert_eq!(document["sheets"][0]["cells"][1][1][0], 2);
    }
}
