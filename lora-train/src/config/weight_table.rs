use serde::{Deserialize, Serialize};

/// How much each timestep counts: straight lines between points, level beyond the first and the last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightTable {
    /// What the points lie along.
    pub by: WeightAxis,
    /// Place and weight of each point, places rising.
    pub points: Vec<[f64; 2]>,
}

/// What the points of a [`WeightTable`] lie along.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightAxis {
    /// The signal-to-noise ratio; lines are straight over its logarithm.
    Snr,
    /// The timestep.
    Timestep,
}

impl WeightTable {
    /// The weight of a timestep.
    pub(crate) fn at(&self, timestep: usize, snr: f64) -> f64 {
        match self.by {
            WeightAxis::Snr => self.between(snr.ln(), f64::ln),
            WeightAxis::Timestep => self.between(timestep as f64, |place| place),
        }
    }

    /// The weight at `place` of an axis on which the points lie at `axis` of their own places.
    fn between(&self, place: f64, axis: fn(f64) -> f64) -> f64 {
        let after = self
            .points
            .partition_point(|&[point, _]| axis(point) < place);
        let weight = |index: usize| self.points.get(index).map_or(0.0, |point| point[1]);
        if after == 0 {
            return weight(0);
        }
        let before = self.points[after - 1];
        match self.points.get(after) {
            Some(&[end, weight]) => {
                let (start, end) = (axis(before[0]), axis(end));
                before[1] + (weight - before[1]) * (place - start) / (end - start)
            }
            None => before[1],
        }
    }

    /// What is wrong with the points, in words.
    pub(crate) fn problem(&self) -> Option<&'static str> {
        let numbers = self.points.iter().flatten();
        let places = self.points.windows(2);
        if self.points.is_empty() {
            return Some("has no points; give pairs of place and weight");
        }
        if !numbers.clone().all(|number| number.is_finite()) {
            return Some("has a point that is no finite number");
        }
        if !places.into_iter().all(|pair| pair[0][0] < pair[1][0]) {
            return Some("has places that do not rise; sort its points");
        }
        if self.by == WeightAxis::Snr && self.points[0][0] <= 0.0 {
            return Some("has a signal-to-noise ratio of 0 or below; begin above 0");
        }
        if self.points.iter().any(|point| point[1] < 0.0) {
            return Some("has a weight below 0");
        }
        let all_zero = self.points.iter().all(|point| point[1] <= 0.0);
        all_zero.then_some("has no weight above 0: nothing would be learnt")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(by: WeightAxis, points: &[[f64; 2]]) -> WeightTable {
        let points = points.to_vec();
        WeightTable { by, points }
    }

    #[test]
    fn lines_run_between_points_and_level_beyond() {
        let steps = table(
            WeightAxis::Timestep,
            &[[100.0, 1.0], [300.0, 3.0], [400.0, 0.0]],
        );
        let found = [0, 100, 150, 300, 375, 400, 999].map(|timestep| steps.at(timestep, 1.0));
        let expected = [1.0, 1.0, 1.5, 3.0, 0.75, 0.0, 0.0];
        assert_eq!(found.map(f64::to_bits), expected.map(f64::to_bits));
        let snr = table(WeightAxis::Snr, &[[0.01, 2.0], [100.0, 0.0]]);
        let found = [0.0, 0.01, 1.0, 100.0, 1e6].map(|snr_of| snr.at(0, snr_of));
        let expected = [2.0, 2.0, 1.0, 0.0, 0.0];
        // Logarithms round.
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(f, e)| (f - e).abs() < 1e-12),
            "{found:?}"
        );
    }

    #[test]
    fn points_that_make_no_curve_are_refused() {
        use WeightAxis::{Snr, Timestep};
        let refused = |by, points: &[[f64; 2]]| table(by, points).problem().is_some();
        assert!(refused(Timestep, &[]));
        assert!(refused(Timestep, &[[0.0, f64::NAN]]));
        assert!(refused(Timestep, &[[5.0, 1.0], [5.0, 2.0]]));
        assert!(refused(Timestep, &[[5.0, 1.0], [6.0, -1.0]]));
        assert!(refused(Timestep, &[[5.0, 0.0], [6.0, 0.0]]));
        assert!(refused(Snr, &[[0.0, 1.0], [6.0, 1.0]]));
        assert!(!refused(Timestep, &[[0.0, 1.0], [6.0, 0.0]]));
        assert!(!refused(Snr, &[[0.1, 1.0]]));
    }
}
