//! What the templates see.

use image::RgbImage;
use serde::Serialize;

use super::PageError;
use crate::picture::curve::LossCurve;
use crate::picture::data_uri::{drawing, photograph};
use crate::picture::film_strip::FilmStrip;
use crate::picture::grid::Grid;

/// A picture that can be enlarged. `x` and `y` are its place among those that the arrow keys reach.
#[derive(Serialize)]
pub(super) struct PictureView {
    uri: String,
    caption: String,
    x: usize,
    y: usize,
}

impl PictureView {
    fn new(picture: &RgbImage, caption: String, x: usize, y: usize) -> Result<Self, PageError> {
        Ok(Self {
            uri: photograph(picture)?,
            caption,
            x,
            y,
        })
    }
}

/// A comparison grid.
#[derive(Serialize)]
pub(super) struct GridView {
    title: String,
    subtitle: String,
    columns: Vec<String>,
    rows: Vec<RowView>,
}

#[derive(Serialize)]
struct RowView {
    label: String,
    cells: Vec<Vec<PictureView>>,
}

impl GridView {
    pub(super) fn new(grid: &Grid) -> Result<Self, PageError> {
        let (rows, columns) = grid.shape();
        let label =
            |labels: &[String], index: usize| labels.get(index).cloned().unwrap_or_default();
        let cell = |row: usize, column: usize| {
            let caption = joined(&label(&grid.columns, column), &label(&grid.rows, row));
            let view = |(part, picture)| {
                PictureView::new(picture, caption.clone(), column, part * rows + row)
            };
            grid.cell(row, column)
                .iter()
                .enumerate()
                .filter(|(_, picture)| !picture.is_empty())
                .map(view)
                .collect()
        };
        let row = |row: usize| -> Result<RowView, PageError> {
            let cells = (0..columns)
                .map(|column| cell(row, column))
                .collect::<Result<_, PageError>>()?;
            Ok(RowView {
                label: label(&grid.rows, row),
                cells,
            })
        };
        Ok(Self {
            title: grid.title.clone(),
            subtitle: grid.subtitle.clone(),
            columns: (0..columns)
                .map(|column| label(&grid.columns, column))
                .collect(),
            rows: (0..rows).map(row).collect::<Result<_, _>>()?,
        })
    }
}

/// The previews of a run.
#[derive(Serialize)]
pub(super) struct FilmStripView {
    frames: Vec<FrameView>,
}

#[derive(Serialize)]
struct FrameView {
    step: u64,
    pictures: Vec<PictureView>,
}

impl FilmStripView {
    pub(super) fn new(strip: &FilmStrip) -> Result<Self, PageError> {
        let mut frames = Vec::new();
        for (x, frame) in strip.frames.iter().enumerate() {
            let view =
                |(y, picture)| PictureView::new(picture, format!("step {}", frame.step), x, y);
            let pictures = frame
                .pictures
                .iter()
                .enumerate()
                .filter(|(_, picture)| !picture.is_empty())
                .map(view);
            frames.push(FrameView {
                step: frame.step,
                pictures: pictures.collect::<Result<_, _>>()?,
            });
        }
        Ok(Self { frames })
    }
}

/// The loss curve as a data URI.
pub(super) fn curve(curve: &LossCurve) -> Result<String, PageError> {
    drawing(&curve.render()?)
}

fn joined(column: &str, row: &str) -> String {
    if column.is_empty() || row.is_empty() {
        format!("{column}{row}")
    } else {
        format!("{column} · {row}")
    }
}
