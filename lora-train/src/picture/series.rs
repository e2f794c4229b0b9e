//! The data of a loss curve, ready to be drawn: sorted, finite, smoothed, with the range of each axis.

use std::ops::Range;

use super::curve::LossCurve;
use super::smooth::smooth;

/// The axes span this share of the noisy points; the few beyond would press the rest flat, and are drawn at the edge.
const SPANNED: f64 = 0.98;
/// Room above and below the curve, as a share of its height.
const PADDING: f64 = 0.08;
/// The loss axis starts at zero where the lowest loss is below this share of the highest.
const NEAR_ZERO: f64 = 0.5;

/// What the chart draws.
pub(super) struct Series<'a> {
    pub(super) raw: Vec<(f64, f64)>,
    pub(super) smoothed: Vec<(f64, f64)>,
    pub(super) balanced: Vec<(f64, f64)>,
    pub(super) held_out: Vec<(f64, f64)>,
    pub(super) rate: Vec<(f64, f64)>,
    pub(super) saved: Vec<(f64, &'a str)>,
}

impl<'a> Series<'a> {
    pub(super) fn new(curve: &'a LossCurve) -> Self {
        let raw = finite(&curve.points);
        let mut saved: Vec<_> = curve
            .saved
            .iter()
            .map(|(step, name)| (*step as f64, name.as_str()))
            .collect();
        saved.sort_by(|a, b| a.0.total_cmp(&b.0));
        Self {
            smoothed: smooth(&raw),
            raw,
            balanced: finite(&curve.balanced),
            held_out: finite(&curve.heldout),
            rate: finite(&curve.learning_rate),
            saved,
        }
    }

    /// From the first step to the last of all series.
    pub(super) fn steps(&self) -> Range<f64> {
        let points = self
            .raw
            .iter()
            .chain(&self.balanced)
            .chain(&self.held_out)
            .chain(&self.rate)
            .map(|point| point.0);
        let steps = || points.clone().chain(self.saved.iter().map(|saved| saved.0));
        match (steps().reduce(f64::min), steps().reduce(f64::max)) {
            (Some(first), Some(last)) if first < last => first..last,
            (Some(only), _) => only..only + 1.0,
            _ => 0.0..1.0,
        }
    }

    /// The losses worth seeing: all of the smoothed, balanced and held-out ones, and all but the extremes of the raw ones.
    pub(super) fn losses(&self) -> Range<f64> {
        let mut sorted: Vec<f64> = self.raw.iter().map(|point| point.1).collect();
        sorted.sort_by(f64::total_cmp);
        let cut = (sorted.len() as f64 * (1.0 - SPANNED) / 2.0) as usize;
        let spanned = sorted[cut..sorted.len() - cut].iter().copied();
        let drawn = self
            .smoothed
            .iter()
            .chain(&self.balanced)
            .chain(&self.held_out)
            .map(|point| point.1);
        let losses = || spanned.clone().chain(drawn.clone());
        let (Some(low), Some(high)) = (losses().reduce(f64::min), losses().reduce(f64::max)) else {
            return 0.0..1.0;
        };
        let padding = (high - low).max(high.abs() * 1e-3).max(1e-9) * PADDING;
        let bottom = if (0.0..high * NEAR_ZERO).contains(&low) {
            0.0
        } else {
            low - padding
        };
        bottom..high + padding
    }

    /// From zero to a little above the highest rate.
    pub(super) fn rates(&self) -> Range<f64> {
        let highest = self.rate.iter().map(|point| point.1).fold(0.0, f64::max);
        0.0..if highest > 0.0 {
            highest * (1.0 + PADDING)
        } else {
            1.0
        }
    }

    /// The held-out point with the lowest loss.
    pub(super) fn best(&self) -> Option<(f64, f64)> {
        self.held_out
            .iter()
            .copied()
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }
}

pub(super) fn finite(points: &[(u64, f64)]) -> Vec<(f64, f64)> {
    let mut points: Vec<_> = points
        .iter()
        .filter(|point| point.1.is_finite())
        .map(|&(step, value)| (step as f64, value))
        .collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outliers_do_not_stretch_the_axis_but_held_out_points_do() {
        let mut curve = LossCurve {
            points: (0..1000).map(|step| (step, 0.1)).collect(),
            ..LossCurve::default()
        };
        curve.points[500].1 = 9.0;
        let raw = Series::new(&curve).losses();
        assert!(raw.end < 1.0, "{raw:?}");
        curve.heldout.push((0, 2.0));
        assert!(Series::new(&curve).losses().contains(&2.0));
    }

    #[test]
    fn the_axis_starts_at_zero_only_where_zero_is_near() {
        let losses = |low, high| {
            Series::new(&LossCurve {
                heldout: vec![(0, high), (1, low)],
                ..LossCurve::default()
            })
            .losses()
        };
        assert!(losses(0.08, 0.3).start == 0.0);
        assert!(losses(0.9, 1.0).start > 0.85);
    }

    #[test]
    fn points_are_sorted_and_finite() {
        let curve = LossCurve {
            points: vec![(9, 0.1), (3, f64::NAN), (1, 0.3)],
            heldout: vec![(4, 0.2), (8, 0.1), (2, f64::INFINITY)],
            saved: vec![(12, "b".into()), (6, "a".into())],
            ..LossCurve::default()
        };
        let series = Series::new(&curve);
        assert_eq!(series.raw, [(1.0, 0.3), (9.0, 0.1)]);
        assert_eq!(series.best(), Some((8.0, 0.1)));
        assert_eq!(series.saved, [(6.0, "a"), (12.0, "b")]);
        assert_eq!(series.steps(), 1.0..12.0);
    }
}
