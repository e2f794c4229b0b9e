//! Learning rates over the steps of a run.

use image::RgbImage;
use plotters::drawing::IntoDrawingArea;

use super::{
    CurveError,
    canvas::Canvas,
    chart::{self, OVERSAMPLING},
    palette::PAPER,
    surface::Surface,
};

/// The size of the finished picture, in pixels.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 520;

/// What the chart shows: one curve for each schedule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RateChart {
    /// Names and rates, `(step, rate)`.
    pub curves: Vec<(String, Vec<(u64, f64)>)>,
}

impl RateChart {
    /// Draws the chart, 1200 × 520 pixels.
    ///
    /// # Errors
    /// [`CurveError`] when the chart cannot be laid out.
    pub fn render(&self) -> Result<RgbImage, CurveError> {
        let mut canvas = Canvas::new(WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING, PAPER);
        let area = Surface {
            canvas: &mut canvas,
        }
        .into_drawing_area();
        chart::draw_rates(&area, &self.curves).map_err(|error| CurveError {
            reason: error.to_string(),
        })?;
        drop(area);
        Ok(image::imageops::thumbnail(
            &canvas.into_image(),
            WIDTH,
            HEIGHT,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::palette::CURVES;

    #[test]
    fn every_curve_has_a_colour_and_none_leaves_the_paper() {
        let falling = |power: i32| {
            (0..=100).map(move |step| (step, (1.0 - step as f64 / 100.0).powi(power) * 1e-4))
        };
        let curves = (1..=3).map(|power| (format!("power {power}"), falling(power).collect()));
        let picture = RateChart {
            curves: curves.collect(),
        }
        .render()
        .expect("drawn");
        for colour in &CURVES[..3] {
            let near = |pixel: &&image::Rgb<u8>| {
                let mut pairs = pixel.0.iter().zip(colour.0);
                pairs.all(|(&a, b)| a.abs_diff(b) <= 2)
            };
            assert!(picture.pixels().filter(near).count() > 100, "{colour:?}");
        }
        assert!(!picture.pixels().any(|pixel| *pixel == CURVES[3]));
        RateChart::default().render().expect("an empty chart");
    }
}
