//! The loss of each stretch of timesteps over the steps of a run.

use image::RgbImage;
use plotters::drawing::IntoDrawingArea;

use super::{
    CurveError,
    canvas::Canvas,
    chart::{self, OVERSAMPLING},
    palette::PAPER,
    series::finite,
    surface::Surface,
};
use crate::TIMESTEP_BINS;

/// The size of the finished picture, in pixels.
const WIDTH: u32 = 1200;
const HEIGHT: u32 = 560;

/// Points that are kept: as many as the chart has columns of pixels. What is smoothed loses nothing by it, and memory does not
/// grow with the length of a run.
const MOST_POINTS: usize = 1200;

/// What the chart shows. Losses that are not finite, or not above 0, are left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TimestepChart {
    /// The smoothed losses at each report, as [`StepReport::loss_by_timestep`](crate::StepReport::loss_by_timestep) has them.
    pub points: Vec<(u64, [Option<f64>; TIMESTEP_BINS])>,
}

impl TimestepChart {
    /// Takes up the losses of a report. Of too many, every other one goes.
    pub fn note(&mut self, step: u64, losses: [Option<f64>; TIMESTEP_BINS]) {
        self.points.push((step, losses));
        if self.points.len() > MOST_POINTS {
            let mut stays = false;
            self.points.retain(|_| {
                stays = !stays;
                stays
            });
        }
    }

    /// Whether there is nothing to be shown.
    pub fn is_empty(&self) -> bool {
        self.curves().iter().all(Vec::is_empty)
    }

    /// The first and the last loss of each stretch, where a picture was drawn in it.
    pub fn ends(&self) -> [Option<[f64; 2]>; TIMESTEP_BINS] {
        let curves = self.curves();
        std::array::from_fn(|bin| Some([curves[bin].first()?.1, curves[bin].last()?.1]))
    }

    /// Draws the chart, 1200 × 560 pixels.
    ///
    /// # Errors
    /// [`CurveError`] when the chart cannot be laid out.
    pub fn render(&self) -> Result<RgbImage, CurveError> {
        let mut canvas = Canvas::new(WIDTH * OVERSAMPLING, HEIGHT * OVERSAMPLING, PAPER);
        let area = Surface {
            canvas: &mut canvas,
        }
        .into_drawing_area();
        chart::draw_timesteps(&area, &self.curves()).map_err(|error| CurveError {
            reason: error.to_string(),
        })?;
        drop(area);
        Ok(image::imageops::thumbnail(
            &canvas.into_image(),
            WIDTH,
            HEIGHT,
        ))
    }

    fn curves(&self) -> [Vec<(f64, f64)>; TIMESTEP_BINS] {
        std::array::from_fn(|bin| {
            let points = self.points.iter();
            let points = points.filter_map(|(step, losses)| Some((*step, losses[bin]?)));
            let mut points = finite(&points.collect::<Vec<_>>());
            points.retain(|(_, loss)| *loss > 0.0);
            points
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_run_keeps_its_ends_and_no_more_points_than_pixels() {
        let mut chart = TimestepChart::default();
        for step in 0..=9600 {
            chart.note(step, [Some(step as f64); TIMESTEP_BINS]);
        }
        assert!(chart.points.len() > MOST_POINTS / 2 && chart.points.len() <= MOST_POINTS);
        let ends =
            [chart.points.first(), chart.points.last()].map(|point| point.map(|point| point.0));
        assert_eq!(ends, [Some(0), Some(9600)]);
    }

    use crate::picture::palette::TIMESTEPS;

    #[test]
    fn every_stretch_that_was_seen_leaves_its_colour() {
        let losses = |step: u64| {
            let loss = |bin: usize| 0.5 * 0.7_f64.powi(bin as i32) / (1.0 + step as f64 / 100.0);
            std::array::from_fn(|bin| (bin != 4).then(|| loss(bin)))
        };
        let chart = TimestepChart {
            points: (1..=30)
                .map(|report| (report * 10, losses(report * 10)))
                .collect(),
        };
        let picture = chart.render().expect("drawn");
        for (bin, colour) in TIMESTEPS.iter().enumerate() {
            let near = |pixel: &&image::Rgb<u8>| {
                let mut pairs = pixel.0.iter().zip(colour.0);
                pairs.all(|(&a, b)| a.abs_diff(b) <= 2)
            };
            let count = picture.pixels().filter(near).count();
            assert_eq!(count > 100, bin != 4, "{bin}: {count}");
        }
        assert_eq!(chart.ends()[4], None);
        let [first, last] = chart.ends()[0].expect("seen");
        assert!(first > last, "{first} {last}");
    }

    #[test]
    fn odd_losses_do_not_panic() {
        let mut odd = [None; TIMESTEP_BINS];
        (odd[0], odd[1], odd[2]) = (Some(0.0), Some(f64::NAN), Some(-1.0));
        let nothing = TimestepChart {
            points: vec![(1, odd)],
        };
        assert!(nothing.is_empty());
        odd[3] = Some(1e-30);
        let one = TimestepChart {
            points: vec![(1, odd)],
        };
        assert!(!one.is_empty());
        for chart in [nothing, one, TimestepChart::default()] {
            chart.render().expect("drawn");
        }
    }
}
