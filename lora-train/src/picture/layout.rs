//! Where everything stands on the sheet of a comparison grid.

use super::canvas::Canvas;
use super::grid::Grid;
use super::label::{elide_middle, wrap};
use super::palette::{INK, MUTED};
use super::typeface::Typeface;

/// Room between two cells, and four of these around the sheet, in pixels.
pub(super) const GAP: u32 = 8;
/// The sheet is at least this wide, so that a grid of one cell still has a readable title.
pub(super) const LEAST_WIDTH: u32 = 480;
/// What does not fit on so many lines is elided.
pub(super) const TITLE_LINES: usize = 3;
const HEADER_LINES: usize = 2;
/// A row header is wrapped to the width of a cell, within these bounds, on at most so many lines.
const ROW_WIDTHS: (f32, f32) = (128.0, 240.0);
const ROW_LINES: usize = 3;

/// Where everything stands, in pixels, with the labels already cut to their room.
pub(super) struct Layout {
    pub(super) width: u32,
    pub(super) height: u32,
    /// The size of every cell.
    pub(super) cell: (u32, u32),
    /// The upper left corner of the first cell.
    pub(super) origin: (u32, u32),
    pub(super) face: Typeface,
    pub(super) header_face: Typeface,
    pub(super) title_face: Typeface,
    pub(super) title: Vec<String>,
    subtitle: Vec<String>,
    pub(super) columns: Vec<Vec<String>>,
    rows: Vec<Vec<String>>,
}

impl Layout {
    /// Measures the labels of a grid whose cells have this size.
    pub(super) fn new(grid: &Grid, cell: (u32, u32)) -> Self {
        let size = (cell.1 as f32 * 0.1).clamp(16.0, 34.0);
        let (face, header_face) = (Typeface::regular(size), Typeface::bold(size));
        let title_face = Typeface::bold(size * 1.3);

        let row_width = (cell.0 as f32).clamp(ROW_WIDTHS.0, ROW_WIDTHS.1);
        let row_lines = ((cell.1 as f32 / leading(header_face)) as usize).clamp(1, ROW_LINES);
        let rows: Vec<Vec<String>> = grid
            .rows
            .iter()
            .map(|label| header(header_face, label, row_width, row_lines))
            .collect();
        let columns: Vec<Vec<String>> = grid
            .columns
            .iter()
            .map(|label| header(header_face, label, cell.0 as f32, HEADER_LINES))
            .collect();
        let row_header = rows
            .iter()
            .flatten()
            .map(|line| header_face.width(line).ceil() as u32 + GAP)
            .max()
            .unwrap_or(0);
        let column_lines = columns.iter().map(Vec::len).max().unwrap_or(0);

        let (row_count, column_count) = grid.shape();
        let span = |length: u32, count: usize| (length + GAP) * count as u32;
        let left = 4 * GAP + row_header;
        let width = (left + span(cell.0, column_count) + 3 * GAP).max(LEAST_WIDTH);
        let text_width = (width - 8 * GAP) as f32;
        let title = wrap(title_face, &grid.title, text_width, TITLE_LINES);
        let subtitle = wrap(face, &grid.subtitle, text_width, TITLE_LINES);
        let titles =
            leading(title_face) * title.len() as f32 + leading(face) * subtitle.len() as f32;
        let headers = leading(header_face) * column_lines as f32;
        let top = 4 * GAP + titles.ceil() as u32 + 2 * GAP + headers.ceil() as u32 + GAP;
        let height = top + span(cell.1, row_count) + 3 * GAP;
        Self {
            width,
            height,
            cell,
            origin: (left, top),
            face,
            header_face,
            title_face,
            title,
            subtitle,
            columns,
            rows,
        }
    }

    /// The upper left corner of a cell.
    #[cfg(test)]
    pub(super) fn corner(&self, row: usize, column: usize) -> (u32, u32) {
        (self.left(column), self.origin.1 + self.band() * row as u32)
    }

    /// Where a column begins.
    pub(super) fn left(&self, column: usize) -> u32 {
        self.origin.0 + (self.cell.0 + GAP) * column as u32
    }

    /// The height of a row with the gap below it.
    pub(super) fn band(&self) -> u32 {
        self.cell.1 + GAP
    }

    /// Sets the title and the subtitle.
    pub(super) fn draw_titles(&self, canvas: &mut Canvas) {
        let left = (4 * GAP) as f32;
        let mut top = left;
        for line in &self.title {
            canvas.text(self.title_face, line, left, top, INK);
            top += leading(self.title_face);
        }
        for line in &self.subtitle {
            canvas.text(self.face, line, left, top, MUTED);
            top += leading(self.face);
        }
    }

    /// Sets the headers of the columns above the first row.
    pub(super) fn draw_columns(&self, canvas: &mut Canvas) {
        for (column, lines) in self.columns.iter().enumerate() {
            let middle = self.left(column) as f32 + self.cell.0 as f32 / 2.0;
            let bottom = (self.origin.1 - GAP) as f32;
            let top = bottom - leading(self.header_face) * lines.len() as f32;
            for (index, line) in lines.iter().enumerate() {
                let top = top + leading(self.header_face) * index as f32;
                canvas.centred(self.header_face, line, middle, top, INK);
            }
        }
    }

    /// Sets the header of a row onto a canvas that begins with it.
    pub(super) fn draw_row(&self, canvas: &mut Canvas, row: usize) {
        let Some(lines) = self.rows.get(row) else {
            return;
        };
        let right = (self.origin.0 - GAP) as f32;
        let middle = self.cell.1 as f32 / 2.0;
        let top = middle - leading(self.header_face) * lines.len() as f32 / 2.0;
        for (index, line) in lines.iter().enumerate() {
            let left = right - self.header_face.width(line);
            let top = top + leading(self.header_face) * index as f32;
            canvas.text(self.header_face, line, left, top, INK);
        }
    }
}

/// From the top of one line to the top of the next.
pub(super) fn leading(face: Typeface) -> f32 {
    face.height() * 1.25
}

/// The lines of a header. A name that would lose text when wrapped is elided in its middle instead, because the
/// epoch stands at its end.
fn header(face: Typeface, label: &str, width: f32, most: usize) -> Vec<String> {
    let lines = wrap(face, label, width, most);
    let complete = lines
        .iter()
        .map(|line| line.chars().filter(|c| !c.is_whitespace()).count())
        .sum::<usize>()
        == label.chars().filter(|c| !c.is_whitespace()).count()
        && lines.last().is_none_or(|line| !line.ends_with('…'));
    if complete {
        lines
    } else {
        vec![elide_middle(face, label, width)]
    }
}
