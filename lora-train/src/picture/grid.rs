//! A labelled table of pictures.

use std::{io, path::PathBuf};

use image::{ImageError, RgbImage};
use thiserror::Error;

/// A labelled table of pictures that lie on the disk; what is not there stays blank.
///
/// Its pictures are read one by one when they are drawn or written, so that a grid of any size needs little memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// What all cells share and the eye must know: the prompt.
    pub title: String,
    /// What else they share: seed, steps, sampler.
    pub subtitle: String,
    /// The header of each column.
    pub columns: Vec<String>,
    /// The header of each row.
    pub rows: Vec<String>,
    /// `cells[row][column]`: numbers of `pictures` that stand side by side, one for each prompt.
    pub cells: Vec<Vec<Vec<usize>>>,
    /// The pictures; several cells may show the same one.
    pub pictures: Vec<GridPicture>,
    /// What the sheet carries as A1111's `parameters`.
    pub parameters: Option<String>,
}

/// A picture of a grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GridPicture {
    /// Its file.
    pub path: PathBuf,
    /// Width and height in pixels, known before the file is read.
    pub size: [u32; 2],
    /// The settings it was drawn with, as A1111 writes them.
    pub parameters: String,
}

/// A picture of a grid that cannot be read.
#[derive(Debug, Error)]
#[error("{}: the picture cannot be read; remove it and run again", .path.display())]
pub struct CellError {
    /// Its file.
    pub path: PathBuf,
    /// Why.
    pub source: ImageError,
}

impl GridPicture {
    /// Whether there is a file.
    pub fn is_there(&self) -> bool {
        self.path.is_file()
    }

    /// Reads it; `None` where there is no file.
    ///
    /// # Errors
    /// [`CellError`] for a file that is no picture.
    pub fn read(&self) -> Result<Option<RgbImage>, CellError> {
        match image::open(&self.path) {
            Ok(picture) => Ok(Some(picture.into_rgb8())),
            Err(ImageError::IoError(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CellError {
                path: self.path.clone(),
                source,
            }),
        }
    }
}

impl Grid {
    /// `(rows, columns)`: enough for every header and every cell.
    pub(super) fn shape(&self) -> (usize, usize) {
        let widest = self.cells.iter().map(Vec::len).max().unwrap_or(0);
        (
            self.rows.len().max(self.cells.len()),
            self.columns.len().max(widest),
        )
    }

    /// The pictures of one cell; none where the cell is missing.
    pub(super) fn cell(&self, row: usize, column: usize) -> impl Iterator<Item = &GridPicture> {
        let numbers = self.cells.get(row).and_then(|cells| cells.get(column));
        let numbers = numbers.map_or(&[][..], Vec::as_slice);
        numbers
            .iter()
            .filter_map(|&number| self.pictures.get(number))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::path::Path;

    use image::Rgb;

    use super::*;

    pub(in crate::picture) const RED: Rgb<u8> = Rgb([255, 0, 0]);

    /// A grid whose cells all show one red picture of `side` × `side` pixels, which lies in `folder`.
    pub(in crate::picture) fn red_grid(
        folder: &Path,
        rows: usize,
        columns: usize,
        side: u32,
    ) -> Grid {
        Grid {
            title: "a photo of a cat".into(),
            subtitle: "seed 1, 20 steps".into(),
            columns: (1..=columns)
                .map(|epoch| format!("style-{epoch:06}"))
                .collect(),
            rows: (0..rows)
                .map(|row| format!("{:.1}", row as f32 / 2.0))
                .collect(),
            cells: vec![vec![vec![0]; columns]; rows],
            pictures: vec![picture(folder, "red", side)],
            parameters: Some("a photo of a cat\nSteps: 20".into()),
        }
    }

    /// A red picture in `folder`.
    pub(in crate::picture) fn picture(folder: &Path, name: &str, side: u32) -> GridPicture {
        let path = folder.join(name).with_extension("png");
        RgbImage::from_pixel(side, side, RED)
            .save(&path)
            .expect("written");
        GridPicture {
            path,
            size: [side; 2],
            parameters: format!("{name}\nSteps: 20"),
        }
    }

    #[test]
    fn a_picture_is_there_or_not_or_broken() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut picture = picture(folder.path(), "a", 4);
        assert_eq!(
            picture.read().expect("a picture").expect("there").width(),
            4
        );
        std::fs::write(&picture.path, "no picture").expect("written");
        let error = picture.read().expect_err("broken").to_string();
        assert!(
            error.contains("a.png") && error.contains("run again"),
            "{error}"
        );
        picture.path = folder.path().join("none.png");
        assert!(picture.read().expect("fine").is_none() && !picture.is_there());
    }
}
