//! What the templates see.

use image::RgbImage;
use serde::Serialize;

use super::PageError;
use crate::picture::choosing_chart::ChoosingChart;
use crate::picture::curve::LossCurve;
use crate::picture::data_uri::{drawing, photograph};
use crate::picture::film_strip::FilmStrip;

/// A picture that can be enlarged. `x` and `y` are its place among those that the arrow keys reach.
#[derive(Serialize)]
struct PictureView {
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

/// The chart of what the saved files were measured by, as a data URI.
pub(super) fn choosing(chart: &ChoosingChart) -> Result<String, PageError> {
    drawing(&chart.render()?)
}
