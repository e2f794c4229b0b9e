//! The loss curve of a run.

use image::RgbImage;
use plotters::drawing::IntoDrawingArea;

use super::canvas::Canvas;
use super::chart::{self, OVERSAMPLING};
use super::palette::PAPER;
use super::series::Series;
use super::surface::Surface;

/// The size of the finished picture, in pixels.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 640;

/// What the curve shows. Points that are not finite are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LossCurve {
    /// Training loss: `(step, loss)`. Drawn faint, with its smoothed course in bold.
    pub points: Vec<(u64, f64)>,
    /// Training loss in which all stretches of timesteps count the same: `(step, loss)`. Smoothed already.
    pub balanced: Vec<(u64, f64)>,
    /// Loss over the held-out pictures: `(step, loss)`. The lowest is named.
    pub heldout: Vec<(u64, f64)>,
    /// Saved files: `(step, name)`. Marked on the step axis; names that would overlap are left out.
    pub saved: Vec<(u64, String)>,
    /// Learning rate: `(step, rate)`. Drawn over an axis of its own on the right; empty means no such axis.
    pub learning_rate: Vec<(u64, f64)>,
}

/// Why no loss curve could be drawn.
#[derive(Debug, thiserror::Error)]
#[error("the loss curve could not be drawn: {reason}")]
pub struct CurveError {
    /// What the plotting library says.
    pub reason: String,
}

impl LossCurve {
    /// Draws the curve, 1200 × 640 pixels.
    ///
    /// # Errors
    /// [`CurveError`] when the chart cannot be laid out.
    pub fn render(&self) -> Result<RgbImage, CurveError> {
        let mut canvas = Canvas::new(WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING, PAPER);
        let area = Surface {
            canvas: &mut canvas,
        }
        .into_drawing_area();
        chart::draw(&area, &Series::new(self)).map_err(|error| CurveError {
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
    use crate::picture::palette::{BALANCED, HELD_OUT, LOSS, RATE};
    use image::Rgb;

    fn curve() -> LossCurve {
        let noise = |step: u64| (step.wrapping_mul(2_654_435_761) % 1000) as f64 / 1000.0 - 0.5;
        LossCurve {
            points: (1..=300)
                .map(|step| {
                    (
                        step,
                        0.08 + 0.12 * (-(step as f64) / 60.0).exp() + 0.08 * noise(step),
                    )
                })
                .collect(),
            balanced: (1..=30).map(|step| (step * 10, 0.15)).collect(),
            heldout: vec![(0, 0.2175), (100, 0.105), (200, 0.091), (300, 0.0877)],
            saved: (1..=6)
                .map(|epoch| (epoch * 50, format!("style-{epoch:06}")))
                .collect(),
            learning_rate: (1..=300).map(|step| (step, 1e-4)).collect(),
        }
    }

    /// How many pixels have this colour, give or take the rounding of the scaling.
    fn count(image: &RgbImage, colour: Rgb<u8>) -> usize {
        let near = |pixel: &&Rgb<u8>| {
            pixel
                .0
                .iter()
                .zip(colour.0)
                .all(|(&a, b)| a.abs_diff(b) <= 2)
        };
        image.pixels().filter(near).count()
    }

    #[test]
    fn every_series_leaves_its_colour() {
        let full = curve().render().expect("drawn");
        assert_eq!(full.dimensions(), (WIDTH, HEIGHT));
        for (name, colour) in [
            ("loss", LOSS),
            ("balanced loss", BALANCED),
            ("held-out", HELD_OUT),
            ("rate", RATE),
        ] {
            assert!(
                count(&full, colour) > 100,
                "no {name}: {} pixels",
                count(&full, colour)
            );
        }
        let bare = LossCurve {
            points: curve().points,
            ..LossCurve::default()
        }
        .render()
        .expect("drawn");
        let others = [BALANCED, HELD_OUT, RATE].map(|colour| count(&bare, colour));
        assert_eq!(others, [0; 3]);
    }

    fn differing(a: &LossCurve, b: &LossCurve) -> usize {
        let (a, b) = (a.render().expect("drawn"), b.render().expect("drawn"));
        a.pixels().zip(b.pixels()).filter(|(a, b)| a != b).count()
    }

    #[test]
    fn saved_files_are_marked() {
        let unmarked = LossCurve {
            saved: Vec::new(),
            ..curve()
        };
        assert!(differing(&curve(), &unmarked) > 1000);
    }

    #[test]
    fn the_course_of_the_rate_is_drawn() {
        // The same axis, so only the line can differ.
        let rising = LossCurve {
            learning_rate: (1..=300).map(|step| (step, step as f64 / 3e6)).collect(),
            ..curve()
        };
        assert!(differing(&curve(), &rising) > 1000);
    }

    #[test]
    fn odd_series_do_not_panic() {
        let saved = |count: u64| {
            (0..count)
                .map(|step| (step, "名前 long name ".repeat(20)))
                .collect()
        };
        for odd in [
            LossCurve::default(),
            LossCurve {
                points: vec![(7, 0.1)],
                ..LossCurve::default()
            },
            LossCurve {
                points: vec![(1, f64::NAN), (2, f64::INFINITY)],
                ..LossCurve::default()
            },
            LossCurve {
                points: vec![(0, 0.0), (9, 0.0)],
                ..LossCurve::default()
            },
            LossCurve {
                points: vec![(0, -1e30), (u64::MAX, 1e30)],
                ..LossCurve::default()
            },
            LossCurve {
                heldout: vec![(5, 0.1)],
                saved: saved(500),
                ..LossCurve::default()
            },
            LossCurve {
                learning_rate: vec![(0, 0.0), (5, 0.0)],
                ..LossCurve::default()
            },
        ] {
            odd.render().expect("drawn");
        }
    }
}
