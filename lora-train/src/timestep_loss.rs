use serde::{Deserialize, Serialize};

/// Timesteps are looked at in so many stretches of equal length.
pub const TIMESTEP_BINS: usize = 10;

/// How much of a stretch's loss is older than its newest picture.
const SMOOTHING: f64 = 0.9;

/// The loss of each stretch of timesteps, smoothed over the pictures that were drawn in it.
///
/// The loss differs many times over between timesteps, so that the mean over a few pictures tells which timesteps were
/// drawn before it tells anything of what was learnt. The mean over stretches, each counting the same, does
/// not depend on that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct TimestepLoss {
    /// Bias-corrected exponential means: sums and weights.
    bins: [[f64; 2]; TIMESTEP_BINS],
}

impl TimestepLoss {
    /// Takes up the loss of a picture at a timestep, of so many.
    pub(crate) fn note(&mut self, timestep: usize, timesteps: usize, loss: f64) {
        let bin = timestep * TIMESTEP_BINS / timesteps.max(1);
        let [sum, weight] = &mut self.bins[bin.min(TIMESTEP_BINS - 1)];
        (*sum, *weight) = (SMOOTHING * *sum + loss, SMOOTHING * *weight + 1.0);
    }

    /// The smoothed loss of each stretch, where a picture was drawn in it.
    pub(crate) fn means(&self) -> [Option<f64>; TIMESTEP_BINS] {
        self.bins
            .map(|[sum, weight]| (weight > 0.0).then(|| sum / weight))
    }

    /// The mean over the stretches in which a picture was drawn.
    pub(crate) fn balanced(&self) -> Option<f64> {
        let seen: Vec<f64> = self.means().into_iter().flatten().collect();
        (!seen.is_empty()).then(|| seen.iter().sum::<f64>() / seen.len() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stretch_counts_the_same_however_often_it_was_drawn() {
        let mut loss = TimestepLoss::default();
        assert_eq!((loss.balanced(), loss.means()), (None, [None; 10]));
        for _ in 0..20 {
            loss.note(0, 1000, 0.5);
        }
        loss.note(99, 1000, 0.5);
        loss.note(999, 1000, 0.1);
        let means = loss.means();
        let seen: Vec<usize> = (0..10).filter(|&bin| means[bin].is_some()).collect();
        assert_eq!(seen, [0, 9]);
        assert!((loss.balanced().expect("seen") - 0.3).abs() < 1e-12);
    }

    #[test]
    fn a_stretch_forgets_what_is_old() {
        let mut loss = TimestepLoss::default();
        loss.note(500, 1000, 1.0);
        loss.note(500, 1000, 0.0);
        // 0.9 · 1 + 0, over 0.9 + 1.
        let mean = loss.means()[5].expect("seen");
        assert!((mean - 0.9 / 1.9).abs() < 1e-12, "{mean}");
        (0..100).for_each(|_| loss.note(500, 1000, 0.0));
        assert!(loss.means()[5].expect("seen") < 1e-4);
    }

    #[test]
    fn a_timestep_beyond_the_last_is_of_the_last_stretch() {
        let mut loss = TimestepLoss::default();
        loss.note(1000, 1000, 1.0);
        assert_eq!(loss.means()[9], Some(1.0));
    }
}
