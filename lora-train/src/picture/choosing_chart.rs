//! What the saved files of a run were measured by, over its steps.

use image::RgbImage;
use plotters::drawing::IntoDrawingArea;

use super::{
    CurveError,
    canvas::Canvas,
    chart::{self, OVERSAMPLING},
    palette::PAPER,
    surface::Surface,
};
use crate::Comparison;

/// The width of the finished picture, and its height without and with comparisons, in pixels.
const WIDTH: u32 = 1200;
const HEIGHTS: [u32; 2] = [520, 900];

/// What the chart shows. Points that are not finite are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChoosingChart {
    /// Training loss: `(step, loss)`. Drawn faint, with its smoothed course in bold.
    pub points: Vec<(u64, f64)>,
    /// Loss over the held-out pictures: `(step, loss)`.
    pub heldout: Vec<(u64, f64)>,
    /// How pictures drawn with the file of a step compare with the training pictures. They have a panel of their own
    /// below the losses, which is left out where there are none.
    pub compared: Vec<(u64, Comparison)>,
    /// The step and the name of the file that ranks first.
    pub best: Option<(u64, String)>,
}

impl ChoosingChart {
    /// Draws the chart, 1200 × 520 pixels, or 1200 × 900 with comparisons.
    ///
    /// # Errors
    /// [`CurveError`] when the chart cannot be laid out.
    pub fn render(&self) -> Result<RgbImage, CurveError> {
        let height = HEIGHTS[usize::from(!self.compared.is_empty())];
        let mut canvas = Canvas::new(WIDTH * OVERSAMPLING, height * OVERSAMPLING, PAPER);
        let area = Surface {
            canvas: &mut canvas,
        }
        .into_drawing_area();
        chart::draw_choosing(&area, self).map_err(|error| CurveError {
            reason: error.to_string(),
        })?;
        drop(area);
        Ok(image::imageops::thumbnail(
            &canvas.into_image(),
            WIDTH,
            height,
        ))
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::picture::palette::{CURVES, HELD_OUT, INK, LOSS};

    fn comparison(similarity: f64, copy_distance: f64) -> Comparison {
        Comparison {
            pictures: 8,
            similarity,
            colours: similarity,
            edges: similarity,
            embedding: None,
            copy_distance,
            copy_threshold: Some(0.2),
            copies: 0,
        }
    }

    fn chart() -> ChoosingChart {
        ChoosingChart {
            points: (1..=300)
                .map(|step| (step, 20.0 / (100.0 + step as f64)))
                .collect(),
            heldout: vec![(0, 0.2), (100, 0.12), (200, 0.1), (300, 0.13)],
            compared: vec![
                (100, comparison(0.5, 0.6)),
                (200, comparison(0.7, 0.5)),
                (300, comparison(0.8, 0.1)),
            ],
            best: Some((200, "style-000002".to_owned())),
        }
    }

    fn count(chart: &ChoosingChart, colour: Rgb<u8>) -> usize {
        let image = chart.render().expect("drawn");
        let near = |pixel: &&Rgb<u8>| {
            let mut pairs = pixel.0.iter().zip(colour.0);
            pairs.all(|(&a, b)| a.abs_diff(b) <= 2)
        };
        image.pixels().filter(near).count()
    }

    #[test]
    fn every_measure_leaves_its_colour_and_the_panel_of_comparisons_is_there_if_asked_for() {
        let full = chart();
        let size = |chart: &ChoosingChart| chart.render().expect("drawn").dimensions();
        assert_eq!(size(&full), (1200, 900));
        for colour in [LOSS, HELD_OUT, CURVES[2], CURVES[3]] {
            assert!(count(&full, colour) > 100, "{colour:?}");
        }
        let losses = ChoosingChart {
            compared: Vec::new(),
            ..chart()
        };
        assert_eq!(size(&losses), (1200, 520));
        assert_eq!(count(&losses, CURVES[3]), 0);
        let unmarked = ChoosingChart {
            best: None,
            ..chart()
        };
        assert!(count(&full, INK) > count(&unmarked, INK) + 200);
    }

    #[test]
    fn odd_measures_do_not_panic() {
        for odd in [
            ChoosingChart::default(),
            ChoosingChart {
                best: Some((7, "名前 ".repeat(40))),
                ..ChoosingChart::default()
            },
            ChoosingChart {
                compared: vec![(0, comparison(f64::NAN, f64::INFINITY))],
                ..ChoosingChart::default()
            },
            ChoosingChart {
                compared: vec![(9, comparison(-0.5, 1.9))],
                heldout: vec![(9, f64::NAN)],
                ..ChoosingChart::default()
            },
        ] {
            odd.render().expect("drawn");
        }
    }
}
