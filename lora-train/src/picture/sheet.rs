//! The sheet of a grid: one large labelled PNG, written row by row.

use std::io::Write;

use image::RgbImage;
use png::{BitDepth, ColorType, Encoder, EncodingError, StreamWriter};
use thiserror::Error;

use super::canvas::Canvas;
use super::grid::{CellError, Grid, GridPicture};
use super::layout::Layout;
use super::palette::{PAPER, RULE};
use super::png::add_parameters;
use super::tile::{Direction, LEAST_SIDE, shown_side, tile, tile_size};

/// Cells do not shrink below this many pixels, whatever the limits.
const LEAST_SHRUNK: u32 = 16;

/// How large a sheet may become. Beyond, its pictures are scaled down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SheetLimits {
    /// Pixels of the longer side.
    pub side: u32,
    /// Pixels in all.
    pub pixels: u64,
}

impl Default for SheetLimits {
    /// What picture viewers and chat programs still open.
    fn default() -> Self {
        Self {
            side: 16_384,
            pixels: 200_000_000,
        }
    }
}

/// What became of a sheet.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SheetFacts {
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// By how much its pictures were scaled down to stay within the limits; 1 where they were not.
    pub scale: f64,
}

/// Why a sheet cannot be written.
#[derive(Debug, Error)]
pub enum SheetError {
    /// A picture cannot be read.
    #[error(transparent)]
    Cell(#[from] CellError),
    /// The PNG cannot be written.
    #[error("the sheet cannot be written")]
    Png(#[from] EncodingError),
    /// The PNG cannot be written.
    #[error("the sheet cannot be written")]
    Write(#[from] std::io::Error),
}

impl Grid {
    /// Writes the sheet as a PNG, row by row: no more than one row of cells is in memory at a time.
    ///
    /// Pictures with a shorter side below 128 pixels are enlarged by a whole number; titles and headers that do not fit
    /// are wrapped, then elided.
    ///
    /// # Errors
    /// [`SheetError`].
    pub fn write_sheet(
        &self,
        writer: impl Write,
        limits: SheetLimits,
    ) -> Result<SheetFacts, SheetError> {
        let (scale, layout) = self.layout(limits);
        let mut encoder = Encoder::new(writer, layout.width, layout.height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        add_parameters(&mut encoder, self.parameters.as_deref())?;
        let mut png = encoder.write_header()?;
        let mut stream = png.stream_writer()?;
        let mut put = |canvas: Canvas| write_band(&mut stream, &canvas.into_image());

        let mut head = Canvas::new(layout.width, layout.origin.1, PAPER);
        layout.draw_titles(&mut head);
        layout.draw_columns(&mut head);
        put(head)?;
        let (rows, _) = self.shape();
        for row in 0..rows {
            put(self.band(row, &layout, scale)?)?;
        }
        let rest = layout.height - layout.origin.1 - layout.band() * rows as u32;
        if rest > 0 {
            put(Canvas::new(layout.width, rest, PAPER))?;
        }
        stream.finish()?;
        png.finish()?;
        Ok(SheetFacts {
            width: layout.width,
            height: layout.height,
            scale,
        })
    }

    /// One row of cells with its header and the gap below it.
    fn band(&self, row: usize, layout: &Layout, scale: f64) -> Result<Canvas, SheetError> {
        let mut canvas = Canvas::new(layout.width, layout.band(), PAPER);
        layout.draw_row(&mut canvas, row);
        let (width, height) = layout.cell;
        for column in 0..self.shape().1 {
            let left = layout.left(column);
            let pictures = self.cell(row, column).map(GridPicture::read);
            let pictures: Vec<RgbImage> = pictures
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()?;
            match tile(&pictures, Direction::Across, PAPER, scale) {
                Some(tile) => {
                    let right = width.saturating_sub(tile.width()) / 2;
                    let down = height.saturating_sub(tile.height()) / 2;
                    canvas.paste(&tile, left + right, down);
                }
                None => canvas.fill(left, 0, width, height, RULE),
            }
        }
        Ok(canvas)
    }

    /// The layout within the limits, and the scale of the pictures that it takes.
    pub(super) fn layout(&self, limits: SheetLimits) -> (f64, Layout) {
        let at = |scale| Layout::new(self, self.cell_size(scale));
        let fits = |layout: &Layout| {
            layout.width.max(layout.height) <= limits.side
                && u64::from(layout.width) * u64::from(layout.height) <= limits.pixels
        };
        let full = at(1.0);
        if fits(&full) {
            return (1.0, full);
        }
        let shorter = full.cell.0.min(full.cell.1);
        let (mut low, mut high) = ((f64::from(LEAST_SHRUNK) / f64::from(shorter)).min(1.0), 1.0);
        let mut best = (low, at(low));
        // A dozen halvings find the scale to less than a pixel of any cell.
        for _ in 0..12 {
            let middle = f64::midpoint(low, high);
            let layout = at(middle);
            if fits(&layout) {
                (low, best) = (middle, (middle, layout));
            } else {
                high = middle;
            }
        }
        best
    }

    /// The size of a cell that has room for every cell's pictures.
    fn cell_size(&self, scale: f64) -> (u32, u32) {
        let (rows, columns) = self.shape();
        let places = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
        let sizes = places.filter_map(|(row, column)| {
            let sizes: Vec<_> = self.cell(row, column).map(|picture| picture.size).collect();
            tile_size(&sizes, Direction::Across, scale)
        });
        let least = shown_side(LEAST_SIDE, scale);
        sizes
            .reduce(|(width, height), other| (width.max(other.0), height.max(other.1)))
            .unwrap_or((least, least))
    }
}

/// Writes rows of pixels.
pub(super) fn write_band<W: Write>(
    stream: &mut StreamWriter<'_, W>,
    band: &RgbImage,
) -> Result<(), SheetError> {
    Ok(stream.write_all(band.as_raw())?)
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::picture::{
        grid::tests::{RED, picture, red_grid},
        layout::{GAP, LEAST_WIDTH, TITLE_LINES, leading},
        png::read_parameters,
    };

    fn render(grid: &Grid) -> RgbImage {
        rendered(grid, SheetLimits::default()).1
    }

    fn rendered(grid: &Grid, limits: SheetLimits) -> (SheetFacts, RgbImage) {
        let mut bytes = Vec::new();
        let facts = grid.write_sheet(&mut bytes, limits).expect("written");
        assert_eq!(
            read_parameters(&bytes).expect("a PNG"),
            grid.parameters,
            "the sheet carries its settings"
        );
        let image = image::load_from_memory(&bytes)
            .expect("a picture")
            .into_rgb8();
        assert_eq!(image.dimensions(), (facts.width, facts.height));
        (facts, image)
    }

    fn layout(grid: &Grid) -> Layout {
        grid.layout(SheetLimits::default()).1
    }

    fn count(image: &RgbImage, wanted: Rgb<u8>) -> usize {
        image.pixels().filter(|&&pixel| pixel == wanted).count()
    }

    /// How many pixels of a rectangle are not paper.
    fn ink(image: &RgbImage, left: u32, top: u32, width: u32, height: u32) -> usize {
        let part = image::imageops::crop_imm(image, left, top, width, height);
        let part = part.to_image();
        part.pixels().filter(|&&pixel| pixel != PAPER).count()
    }

    #[test]
    fn every_cell_lies_where_the_layout_says() {
        let folder = tempfile::tempdir().expect("a folder");
        let grid = red_grid(folder.path(), 3, 4, 64);
        let (layout, image) = (layout(&grid), render(&grid));
        assert_eq!(layout.cell, (128, 128));
        assert_eq!(count(&image, RED), 12 * 128 * 128);
        for (row, column) in [(0, 0), (2, 3)] {
            let (left, top) = layout.corner(row, column);
            assert_eq!(*image.get_pixel(left, top), RED);
            assert_eq!(*image.get_pixel(left + 127, top + 127), RED);
            assert_eq!(*image.get_pixel(left + 128, top + 128), PAPER);
        }
    }

    #[test]
    fn title_and_headers_are_drawn() {
        let folder = tempfile::tempdir().expect("a folder");
        let grid = red_grid(folder.path(), 2, 2, 64);
        let (layout, image) = (layout(&grid), render(&grid));
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
            assert!(
                ink(&image, layout.left(column), top - header, 128, header) > 100,
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
        let folder = tempfile::tempdir().expect("a folder");
        let mut grid = red_grid(folder.path(), 1, 2, 64);
        grid.cells[0][1].push(0);
        assert_eq!(layout(&grid).cell, (260, 128));
        assert_eq!(count(&render(&grid), RED), 3 * 128 * 128);
    }

    #[test]
    fn missing_pieces_are_blank() {
        assert_eq!(render(&Grid::default()).width(), LEAST_WIDTH);
        let folder = tempfile::tempdir().expect("a folder");
        let mut sparse = red_grid(folder.path(), 2, 2, 64);
        sparse.cells.pop();
        sparse.rows.clear();
        sparse.columns.push("one more".into());
        let mut undrawn = picture(folder.path(), "undrawn", 64);
        undrawn.path = folder.path().join("nowhere.png");
        sparse.pictures.push(undrawn);
        sparse.cells[0][1] = vec![1];
        assert_eq!(sparse.shape(), (1, 3));
        assert_eq!(count(&render(&sparse), RULE), 2 * 128 * 128);
    }

    #[test]
    fn long_labels_do_not_grow_the_cells() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut long = red_grid(folder.path(), 2, 3, 64);
        let short = layout(&long).width;
        long.title = "一只猫 very long ".repeat(200);
        long.columns[1] = "a_very_long_name_of_a_file_that_has_no_spaces-000002".into();
        long.rows[1] = "strength 0.5 with a long remark that goes on and on and on and on".into();
        let layout = layout(&long);
        assert_eq!((layout.cell, layout.title.len()), ((128, 128), TITLE_LINES));
        assert!(
            layout.columns[1][0].ends_with("02"),
            "{:?}",
            layout.columns[1]
        );
        assert!(layout.width <= short + 128);
    }

    #[test]
    fn a_sheet_beyond_the_limits_shrinks_its_pictures() {
        let folder = tempfile::tempdir().expect("a folder");
        let grid = red_grid(folder.path(), 6, 20, 128);
        let narrow = SheetLimits {
            side: 1500,
            ..SheetLimits::default()
        };
        let (facts, image) = rendered(&grid, narrow);
        assert!((1470..=1500).contains(&facts.width), "{facts:?}");
        let side = (128.0 * facts.scale).round() as usize;
        assert!((50..75).contains(&side), "{facts:?}");
        assert_eq!(count(&image, RED), 120 * side * side);

        let few = SheetLimits {
            pixels: 1_000_000,
            ..SheetLimits::default()
        };
        let (facts, _) = rendered(&grid, few);
        let pixels = facts.width * facts.height;
        assert!((950_000..=1_000_000).contains(&pixels), "{facts:?}");
        // Smaller than this nobody would see anything: the limit gives way.
        let tiny = SheetLimits {
            side: 100,
            pixels: 100,
        };
        let (facts, _) = rendered(&grid, tiny);
        assert!((facts.scale - 0.125).abs() < 1e-9, "{facts:?}");
    }

    #[test]
    fn a_broken_picture_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let grid = red_grid(folder.path(), 1, 1, 64);
        std::fs::write(&grid.pictures[0].path, "broken").expect("written");
        let error = grid
            .write_sheet(std::io::sink(), SheetLimits::default())
            .expect_err("broken");
        assert!(error.to_string().contains("red.png"), "{error}");
    }
}
