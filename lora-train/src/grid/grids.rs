use std::collections::BTreeMap;

use super::{CellFolder, GridPlan, SheetPlan};
use crate::picture::{Grid, GridPicture};

impl GridPlan {
    /// The sheets, with their pictures in `folder`. Those that are not there leave blank cells.
    pub fn grids(&self, folder: &CellFolder) -> Vec<Grid> {
        let sheets = self.sheets.iter();
        sheets.map(|sheet| self.grid(sheet, folder)).collect()
    }

    fn grid(&self, sheet: &SheetPlan, folder: &CellFolder) -> Grid {
        let mut places = BTreeMap::<usize, usize>::new();
        let mut pictures = Vec::new();
        let mut place = |number: &usize| {
            *places.entry(*number).or_insert_with(|| {
                let drawing = &self.drawings[*number];
                pictures.push(GridPicture {
                    path: folder.file(drawing),
                    size: drawing.size,
                    parameters: drawing.parameters.clone(),
                });
                pictures.len() - 1
            })
        };
        let cells = sheet.cells.iter().map(|row| {
            let row = row.iter().map(|cell| cell.iter().map(&mut place).collect());
            row.collect()
        });
        let cells = cells.collect();
        let parameters = pictures
            .first()
            .map(|first| format!("{}, {}", first.parameters, sheet.script));
        let missing = pictures.iter().filter(|picture| !picture.is_there());
        let subtitle = match missing.count() {
            0 => sheet.subtitle.clone(),
            count => format!(
                "{}, {} of {} pictures so far",
                sheet.subtitle,
                pictures.len() - count,
                pictures.len()
            ),
        };
        Grid {
            title: sheet.title.clone(),
            subtitle,
            columns: sheet.columns.clone(),
            rows: sheet.rows.clone(),
            cells,
            pictures,
            parameters,
        }
    }
}
