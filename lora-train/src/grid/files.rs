use std::{
    io,
    path::{Path, PathBuf},
};

use atomic_file::{WriteError, write_atomically};

use crate::picture::{Grid, SheetFacts, SheetLimits, grid_page};

/// What a grid leaves beside the folder of its cells.
#[derive(Clone, Debug, PartialEq)]
pub struct GridFiles {
    /// The sheets: `out.png`, or `out-1.png`, `out-2.png`, … where there are several.
    pub sheets: Vec<(PathBuf, SheetFacts)>,
    /// The page: `out.html`.
    pub page: PathBuf,
    /// The scale of what the page enlarges; 1 unless it would become too large for a browser.
    pub page_scale: f64,
}

/// The folder for the cells of a grid that is written to `out`.
pub fn cells_of(out: &Path) -> PathBuf {
    with_end(out, ".cells")
}

impl GridFiles {
    /// Writes sheets and page; `out` is a path without extension.
    ///
    /// # Errors
    /// [`WriteError`], also for a picture that cannot be read.
    pub fn write(grids: &[Grid], out: &Path) -> Result<Self, WriteError> {
        let mut sheets = Vec::new();
        for (index, grid) in grids.iter().enumerate() {
            let number = (grids.len() > 1).then(|| format!("-{}", index + 1));
            let path = with_end(out, &format!("{}.png", number.unwrap_or_default()));
            let facts = write_sheet(grid, &path)?;
            sheets.push((path, facts));
        }
        let page = with_end(out, ".html");
        let page_scale = write_atomically(&page, |file| {
            grid_page(grids, file).map_err(io::Error::other)
        })?;
        Ok(Self {
            sheets,
            page,
            page_scale,
        })
    }
}

/// Writes one sheet.
///
/// # Errors
/// [`WriteError`], also for a picture that cannot be read.
pub(crate) fn write_sheet(grid: &Grid, path: &Path) -> Result<SheetFacts, WriteError> {
    write_atomically(path, |file| {
        let sheet = grid.write_sheet(file, SheetLimits::default());
        sheet.map_err(io::Error::other)
    })
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sheet_bears_the_name_and_several_a_number() {
        let folder = tempfile::tempdir().expect("a folder");
        let out = folder.path().join("v0.5");
        let one = GridFiles::write(&[Grid::default()], &out).expect("written");
        assert_eq!(one.sheets[0].0, folder.path().join("v0.5.png"));
        assert_eq!(one.page, folder.path().join("v0.5.html"));
        let two = GridFiles::write(&[Grid::default(), Grid::default()], &out).expect("written");
        let paths = two.sheets.iter().map(|(path, _)| path.clone());
        assert_eq!(
            paths.collect::<Vec<_>>(),
            [
                folder.path().join("v0.5-1.png"),
                folder.path().join("v0.5-2.png")
            ]
        );
        assert_eq!(cells_of(&out), folder.path().join("v0.5.cells"));
        assert!(two.sheets.iter().all(|(path, _)| path.is_file()) && two.page.is_file());
    }
}
