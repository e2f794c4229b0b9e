//! What the templates see.

use image::RgbImage;
use serde::Serialize;

use super::PageError;
use crate::picture::choosing_chart::ChoosingChart;
use crate::picture::curve::LossCurve;
use crate::picture::data_uri::{drawing, photograph};
use crate::picture::film_strip::FilmStrip;
use crate::{BadStep, picture::timestep_chart::TimestepChart};

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

/// The previews of one prompt, in the order in which they were drawn.
#[derive(Serialize)]
pub(super) struct PromptView {
    prompt: Option<String>,
    frames: Vec<FrameView>,
}

#[derive(Serialize)]
struct FrameView {
    step: u64,
    picture: PictureView,
}

/// The previews of a run, a strip for each prompt.
pub(super) fn film_strip(strip: &FilmStrip) -> Result<Vec<PromptView>, PageError> {
    let rows = strip.frames.iter().map(|frame| frame.pictures.len());
    let row = |y: usize| {
        let prompt = strip.prompts.get(y).cloned();
        let mut frames = Vec::new();
        for (x, frame) in strip.frames.iter().enumerate() {
            let picture = frame.pictures.get(y);
            let Some(picture) = picture.filter(|picture| !picture.is_empty()) else {
                continue;
            };
            let caption = match &prompt {
                Some(prompt) => format!("step {}: {prompt}", frame.step),
                None => format!("step {}", frame.step),
            };
            frames.push(FrameView {
                step: frame.step,
                picture: PictureView::new(picture, caption, x, y)?,
            });
        }
        Ok(PromptView { prompt, frames })
    };
    let strips: Vec<PromptView> = (0..rows.max().unwrap_or(0))
        .map(row)
        .collect::<Result<_, PageError>>()?;
    let some = strips.into_iter().filter(|strip| !strip.frames.is_empty());
    Ok(some.collect())
}

/// The loss by timestep: a drawing, and a table of its ends.
#[derive(Serialize)]
pub(super) struct TimestepView {
    chart: String,
    rows: Vec<[String; 4]>,
}

impl TimestepView {
    /// Nothing where no picture's loss is known.
    pub(super) fn new(chart: &TimestepChart) -> Result<Option<Self>, PageError> {
        if chart.is_empty() {
            return Ok(None);
        }
        let ends = chart.ends().into_iter().enumerate();
        let rows = ends.filter_map(|(bin, ends)| {
            let [first, last] = ends?;
            let change = ((last / first - 1.0) * 100.0).round();
            let sign = match change {
                change if change < 0.0 => "−",
                change if change > 0.0 => "+",
                _ => "",
            };
            Some([
                format!("{}–{}", bin * 100, bin * 100 + 99),
                format!("{first:.4}"),
                format!("{last:.4}"),
                format!("{sign}{:.0} %", change.abs()),
            ])
        });
        Ok(Some(Self {
            rows: rows.collect(),
            chart: drawing(&chart.render()?)?,
        }))
    }
}

/// A step whose numbers went wrong.
#[derive(Serialize)]
pub(super) struct BadStepView {
    step: u64,
    loss: String,
    grad_norm: String,
    layer: Option<String>,
    pictures: Vec<(String, Option<usize>)>,
}

/// The steps whose numbers went wrong, with the names of their pictures and the timesteps drawn for them.
pub(super) fn bad_steps(steps: &[BadStep]) -> Vec<BadStepView> {
    let view = |bad: &BadStep| {
        let pictures = bad.pictures.iter().enumerate().map(|(item, picture)| {
            let name = picture.file_name().unwrap_or(picture.as_os_str());
            let name = name.to_string_lossy().into_owned();
            (name, bad.timesteps.get(item).copied())
        });
        BadStepView {
            step: bad.step,
            loss: bad.loss.clone(),
            grad_norm: bad.grad_norm.clone(),
            layer: bad.layer.clone(),
            pictures: pictures.collect(),
        }
    };
    steps.iter().map(view).collect()
}

/// The loss curve as a data URI.
pub(super) fn curve(curve: &LossCurve) -> Result<String, PageError> {
    drawing(&curve.render()?)
}

/// The chart of what the saved files were measured by, as a data URI.
pub(super) fn choosing(chart: &ChoosingChart) -> Result<String, PageError> {
    drawing(&chart.render()?)
}
