//! What the templates see of a grid: rows, cells and pictures come into being one by one, when the template gets there,
//! and go when it has written them.

use std::sync::Arc;

use minijinja::{Error, ErrorKind, Value, context};

use super::PageError;
use crate::picture::data_uri::{is_small, photograph, scaled, thumbnail};
use crate::picture::grid::{Grid, GridPicture};

/// More pixels than this a page does not carry: about 100 MB. Beyond, what is enlarged is scaled down.
const MOST_PIXELS: u64 = 400_000_000;

/// What a template needs of one grid. `number` tells it from others on the page, `scale` is that of [`scale_of`].
pub(super) fn grid_view(grid: &Grid, number: usize, scale: f64) -> Value {
    let grid = Arc::new(grid.clone());
    let (rows, columns) = grid.shape();
    let set = format!("grid-{number}");
    let label = |labels: &[String], index: usize| labels.get(index).cloned().unwrap_or_default();
    let columns: Vec<String> = (0..columns)
        .map(|index| label(&grid.columns, index))
        .collect();
    let (title, subtitle) = (grid.title.clone(), grid.subtitle.clone());
    let sheet = Arc::new(SheetView {
        set: set.clone(),
        scale,
        grid,
    });
    let for_rows = Arc::clone(&sheet);
    context! {
        title,
        subtitle,
        set,
        columns,
        rows => Value::make_iterable(move || {
            let sheet = Arc::clone(&for_rows);
            (0..rows).map(move |row| sheet.row(row))
        }),
        pictures => Value::make_iterable(move || {
            let sheet = Arc::clone(&sheet);
            (0..sheet.grid.pictures.len()).filter_map(move |number| sheet.enlarged(number))
        }),
    }
}

/// By how much enlarged pictures are scaled down so that the page stays manageable; 1 where they need not be.
pub(super) fn scale_of(grids: &[Grid]) -> f64 {
    let pictures = grids.iter().flat_map(|grid| &grid.pictures);
    let pixels: u64 = pictures
        .map(|picture| u64::from(picture.size[0]) * u64::from(picture.size[1]))
        .sum();
    (MOST_PIXELS as f64 / pixels.max(1) as f64).sqrt().min(1.0)
}

struct SheetView {
    /// What the identifiers of its pictures begin with.
    set: String,
    scale: f64,
    grid: Arc<Grid>,
}

impl SheetView {
    fn row(self: &Arc<Self>, row: usize) -> Value {
        let sheet = Arc::clone(self);
        let columns = self.grid.shape().1;
        context! {
            label => self.grid.rows.get(row),
            cells => Value::make_iterable(move || {
                let sheet = Arc::clone(&sheet);
                (0..columns).map(move |column| sheet.cell(row, column))
            }),
        }
    }

    fn cell(&self, row: usize, column: usize) -> Value {
        let cells = self.grid.cells.get(row);
        let numbers = cells.and_then(|cells| cells.get(column));
        let numbers = numbers.map_or(&[][..], Vec::as_slice).iter().enumerate();
        let views = numbers.map(|(part, &number)| self.thumbnail(row, column, part, number));
        let views = views.collect::<Result<Vec<Option<Value>>, PageError>>();
        views.map_or_else(invalid, |views| views.into_iter().flatten().collect())
    }

    /// A picture in its cell; `None` where it is not drawn yet.
    fn thumbnail(
        &self,
        row: usize,
        column: usize,
        part: usize,
        number: usize,
    ) -> Result<Option<Value>, PageError> {
        let Some(picture) = self.grid.pictures.get(number) else {
            return Ok(None);
        };
        let Some(pixels) = picture.read()? else {
            return Ok(None);
        };
        let uri = if is_small(picture.size) {
            photograph(&pixels)?
        } else {
            thumbnail(&pixels)?
        };
        let label = |labels: &[String], index| labels.get(index).cloned().unwrap_or_default();
        Ok(Some(context! {
            uri,
            id => self.id(number),
            caption => joined(&label(&self.grid.columns, column), &label(&self.grid.rows, row)),
            x => column,
            // One prompt after the other: the arrow keys stay with one.
            y => part * self.grid.shape().0 + row,
            width => picture.size[0],
            height => picture.size[1],
        }))
    }

    /// What is shown when a picture is enlarged; `None` where it is not drawn yet.
    fn enlarged(&self, number: usize) -> Option<Value> {
        let picture = &self.grid.pictures[number];
        match self.enlarged_uri(picture) {
            Ok(None) => None,
            Ok(Some(uri)) => Some(context! {
                id => self.id(number),
                uri,
                parameters => &picture.parameters,
            }),
            Err(error) => Some(invalid(error)),
        }
    }

    /// Empty where the cell holds the whole picture already.
    fn enlarged_uri(&self, picture: &GridPicture) -> Result<Option<String>, PageError> {
        if is_small(picture.size) {
            return Ok(picture.is_there().then(String::new));
        }
        let Some(pixels) = picture.read()? else {
            return Ok(None);
        };
        let uri = if self.scale < 1.0 {
            photograph(&scaled(&pixels, self.scale))?
        } else {
            photograph(&pixels)?
        };
        Ok(Some(uri))
    }

    fn id(&self, number: usize) -> String {
        format!("{}-{number}", self.set)
    }
}

/// A value that ends the writing of the page with `error`.
fn invalid(error: PageError) -> Value {
    Value::from(Error::new(ErrorKind::InvalidOperation, error.to_string()).with_source(error))
}

fn joined(column: &str, row: &str) -> String {
    if column.is_empty() || row.is_empty() {
        format!("{column}{row}")
    } else {
        format!("{column} · {row}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::grid::tests::red_grid;

    #[test]
    fn a_page_of_too_many_pixels_scales_what_is_enlarged() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut grid = red_grid(folder.path(), 1, 1, 8);
        assert!((scale_of(std::slice::from_ref(&grid)) - 1.0).abs() < 1e-12);
        grid.pictures = vec![grid.pictures[0].clone(); 400];
        for picture in &mut grid.pictures {
            picture.size = [2000, 1000];
        }
        assert!((scale_of(&[grid.clone(), grid]) - 0.5).abs() < 1e-12);
    }
}
