//! The comparison grid: the same prompt and seed with every file (columns) at every strength (rows).

use image::RgbImage;

use super::canvas::Canvas;
use super::layout::Layout;
use super::palette::{PAPER, RULE};
use super::tile::{Direction, tile};

/// A labelled table of pictures. Headers, rows and cells may be missing: what is not there stays blank.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grid {
    /// What all cells share and the eye must know: the prompt.
    pub title: String,
    /// What else they share: seed, steps, sampler.
    pub subtitle: String,
    /// The header of each column: file or epoch names.
    pub columns: Vec<String>,
    /// The header of each row: strengths.
    pub rows: Vec<String>,
    /// `cells[row][column]`: one picture, or several (one for each prompt) that stand side by side.
    pub cells: Vec<Vec<Vec<RgbImage>>>,
}

impl Grid {
    /// Draws the sheet. Pictures with a shorter side below 128 pixels are enlarged by a whole number; titles and headers
    /// that do not fit are wrapped, then elided.
    pub fn render(&self) -> RgbImage {
        let tiles = self.tiles();
        let layout = Layout::new(self, &tiles);
        let mut canvas = Canvas::new(layout.width, layout.height, PAPER);
        layout.draw_titles(&mut canvas);
        layout.draw_headers(&mut canvas);
        for (row, tiles) in tiles.iter().enumerate() {
            for (column, tile) in tiles.iter().enumerate() {
                let (left, top) = layout.corner(row, column);
                match tile {
                    Some(tile) => {
                        let (right, down) =
                            (layout.cell.0 - tile.width(), layout.cell.1 - tile.height());
                        canvas.paste(tile, left + right / 2, top + down / 2);
                    }
                    None => canvas.fill(left, top, layout.cell.0, layout.cell.1, RULE),
                }
            }
        }
        canvas.into_image()
    }

    /// `(rows, columns)`: enough for every header and every cell.
    pub(super) fn shape(&self) -> (usize, usize) {
        let widest = self.cells.iter().map(Vec::len).max().unwrap_or(0);
        (
            self.rows.len().max(self.cells.len()),
            self.columns.len().max(widest),
        )
    }

    /// The pictures of one cell; none where the cell is missing.
    pub(super) fn cell(&self, row: usize, column: usize) -> &[RgbImage] {
        self.cells
            .get(row)
            .and_then(|cells| cells.get(column))
            .map_or(&[], Vec::as_slice)
    }

    fn tiles(&self) -> Vec<Vec<Option<RgbImage>>> {
        let (rows, columns) = self.shape();
        let row = |row| {
            (0..columns)
                .map(|column| tile(self.cell(row, column), Direction::Across, PAPER))
                .collect()
        };
        (0..rows).map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::layout::{GAP, LEAST_WIDTH, TITLE_LINES, leading};
    use image::Rgb;

    const RED: Rgb<u8> = Rgb([255, 0, 0]);

    fn grid(rows: usize, columns: usize) -> Grid {
        Grid {
            title: "a photo of a cat".into(),
            subtitle: "seed 1, 20 steps".into(),
            columns: (1..=columns)
                .map(|epoch| format!("style-{epoch:06}"))
                .collect(),
            rows: (0..rows)
                .map(|row| format!("{:.1}", row as f32 / 2.0))
                .collect(),
            cells: vec![vec![vec![RgbImage::from_pixel(64, 64, RED)]; columns]; rows],
        }
    }

    /// How many pixels of a rectangle are not paper.
    fn ink(image: &RgbImage, left: u32, top: u32, width: u32, height: u32) -> usize {
        let part = image::imageops::crop_imm(image, left, top, width, height);
        part.to_image()
            .pixels()
            .filter(|&&pixel| pixel != PAPER)
            .count()
    }

    #[test]
    fn every_cell_lies_where_the_layout_says() {
        let grid = grid(3, 4);
        let (layout, image) = (Layout::new(&grid, &grid.tiles()), grid.render());
        assert_eq!(image.dimensions(), (layout.width, layout.height));
        assert_eq!(layout.cell, (128, 128));
        assert_eq!(
            image.pixels().filter(|&&pixel| pixel == RED).count(),
            12 * 128 * 128
        );
        for (row, column) in [(0, 0), (2, 3)] {
            let (left, top) = layout.corner(row, column);
            assert_eq!(*image.get_pixel(left, top), RED);
            assert_eq!(*image.get_pixel(left + 127, top + 127), RED);
            assert_eq!(*image.get_pixel(left + 128, top + 128), PAPER);
        }
    }

    #[test]
    fn title_and_headers_are_drawn() {
        let grid = grid(2, 2);
        let (layout, image) = (Layout::new(&grid, &grid.tiles()), grid.render());
        let (left, top) = layout.origin;
        let header = (leading(layout.header_face) + GAP as f32) as u32;
        let (title, subtitle) = (
            leading(layout.title_face) as u32,
            leading(layout.face) as u32,
        );
        assert!(
            ink(&image, 0, 4 * GAP, layout.width, title) > 500,
            "no title"
        );
        assert!(
            ink(&image, 0, 4 * GAP + title, layout.width, subtitle) > 300,
            "no subtitle"
        );
        for column in 0..2 {
            let (left, _) = layout.corner(0, column);
            assert!(
                ink(&image, left, top - header, 128, header) > 100,
                "no header over column {column}"
            );
        }
        for row in 0..2 {
            let (_, top) = layout.corner(row, 0);
            assert!(
                ink(&image, 0, top, left, 128) > 20,
                "no header beside row {row}"
            );
        }
    }

    #[test]
    fn several_prompts_widen_the_cell() {
        let mut grid = grid(1, 2);
        grid.cells[0][1].push(RgbImage::from_pixel(64, 64, RED));
        assert_eq!(Layout::new(&grid, &grid.tiles()).cell, (260, 128));
        assert_eq!(
            grid.render()
                .pixels()
                .filter(|&&pixel| pixel == RED)
                .count(),
            3 * 128 * 128
        );
    }

    #[test]
    fn missing_pieces_are_blank() {
        assert_eq!(Grid::default().render().width(), LEAST_WIDTH);
        let mut sparse = grid(2, 2);
        sparse.cells.pop();
        sparse.rows.clear();
        sparse.columns.push("one more".into());
        sparse.cells[0][1].clear();
        assert_eq!(sparse.shape(), (1, 3));
        assert_eq!(
            sparse
                .render()
                .pixels()
                .filter(|&&pixel| pixel == RULE)
                .count(),
            2 * 128 * 128
        );
    }

    #[test]
    fn long_labels_do_not_grow_the_cells() {
        let mut long = grid(2, 3);
        let short = long.render();
        long.title = "一只猫 very long ".repeat(200);
        long.columns[1] = "a_very_long_name_of_a_file_that_has_no_spaces-000002".into();
        long.rows[1] = "strength 0.5 with a long remark that goes on".into();
        let layout = Layout::new(&long, &long.tiles());
        assert_eq!((layout.cell, layout.title.len()), ((128, 128), TITLE_LINES));
        assert!(
            layout.columns[1][0].ends_with("02"),
            "{:?}",
            layout.columns[1]
        );
        assert!(layout.width <= short.width() + 128);
    }
}
