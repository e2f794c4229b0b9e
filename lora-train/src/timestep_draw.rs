//! Which timestep a showing is trained at.

use crate::{
    config::{TimestepConfig, TimestepDistribution},
    normal_quantile::normal_quantile,
    random::{Purpose, below, bits},
};

/// 2⁶⁴ over the golden ratio: multiples of it, taken modulo 2⁶⁴, are spread as evenly as those of any number.
const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Draws timesteps, each as a pure function of (seed, epoch, showing).
#[derive(Clone, Debug)]
pub(crate) struct TimestepDraw {
    config: TimestepConfig,
    span: usize,
    seed: u64,
}

impl TimestepDraw {
    /// Timesteps of a schedule of `length`.
    pub(crate) fn new(config: &TimestepConfig, length: usize, seed: u64) -> Self {
        let end = config.max.map_or(length, |max| max.min(length));
        Self {
            config: config.clone(),
            span: end.saturating_sub(config.min).max(1),
            seed,
        }
    }

    /// Whether draws depend on a showing's place in the run.
    pub(crate) fn is_stratified(&self) -> bool {
        self.config.stratified
    }

    /// The timestep of a showing: `key` names it, `place` is its place among all showings of the run.
    ///
    /// Stratified, place n lies at the part n/φ + s of the distribution, modulo 1, with a shift s by the seed. Any run of
    /// showings, wherever it begins, is then spread evenly: gaps between the parts of n showings are below 2/n.
    pub(crate) fn at(&self, key: u64, place: u64) -> usize {
        let min = self.config.min;
        if self.config.stratified {
            let shift = bits(Purpose::TimestepShift, self.seed, 0, 0);
            return min + self.step_at(part(shift.wrapping_add(place.wrapping_mul(GOLDEN))));
        }
        match self.config.distribution {
            TimestepDistribution::Uniform => {
                min + below(Purpose::Timestep, self.seed, key, 0, self.span)
            }
            TimestepDistribution::LogitNormal => {
                min + self.step_at(part(bits(Purpose::Timestep, self.seed, key, 0)))
            }
        }
    }

    /// The timestep, counted from the first of the range, below which lies the part `part` of the distribution.
    fn step_at(&self, part: f64) -> usize {
        let place = match self.config.distribution {
            TimestepDistribution::Uniform => part,
            TimestepDistribution::LogitNormal => {
                let normal = self.config.mean + self.config.std * normal_quantile(part);
                1.0 / (1.0 + (-normal).exp())
            }
        };
        ((place * self.span as f64) as usize).min(self.span - 1)
    }
}

/// A number between 0 and 1, neither of them included, from 64 bits.
fn part(bits: u64) -> f64 {
    // Half of 2⁻⁵² more, so that it is never 0; all of it is exact.
    ((bits >> 12) as f64 + 0.5) / (1u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::recorded::Recorded;

    fn draw(settings: &str, seed: u64) -> TimestepDraw {
        TimestepDraw::new(&toml::from_str(settings).expect("valid"), 1000, seed)
    }

    #[test]
    fn logit_normal_timesteps_equal_pytorchs() {
        let recorded = Recorded::read();
        assert_eq!(recorded.logit_normal.len(), 3);
        for case in recorded.logit_normal {
            let draw = TimestepDraw::new(
                &TimestepConfig {
                    min: case.min,
                    max: Some(case.max),
                    distribution: TimestepDistribution::LogitNormal,
                    mean: case.mean,
                    std: case.std,
                    stratified: false,
                },
                1000,
                0,
            );
            let found = recorded.quantiles.iter();
            let found: Vec<usize> = found.map(|&part| case.min + draw.step_at(part)).collect();
            assert_eq!(found, case.timesteps);
        }
    }

    #[test]
    fn logit_normal_draws_have_its_distribution() {
        let settings = "distribution = 'logit_normal'\nmean = 0.5\nstd = 0.8";
        for settings in [
            settings.to_owned(),
            format!("{settings}\nstratified = true"),
        ] {
            let draw = draw(&settings, 3);
            let count = 40_000;
            let below = |timestep: usize| {
                let drawn = (0..count).filter(|&showing| draw.at(showing, showing) < timestep);
                drawn.count() as f64 / count as f64
            };
            // Normal distribution function at −1, 0 and 1; four standard deviations of a mean of 40,000.
            for (normal, expected) in [(-1.0f64, 0.158_655), (0.0, 0.5), (1.0, 0.841_345)] {
                let place = 1.0 / (1.0 + (-(0.5 + 0.8 * normal)).exp());
                let found = below((place * 1000.0).round() as usize);
                assert!(
                    (found - expected).abs() < 0.01,
                    "{normal}: {found} {expected}"
                );
            }
        }
    }

    #[test]
    fn parts_lie_between_zero_and_one() {
        assert!(part(0) > 0.0 && part(u64::MAX) < 1.0);
        assert!((part(1 << 63) - 0.5).abs() < 1e-15);
    }

    /// The draws of runs made before there were settings.
    #[test]
    fn plain_draws_are_what_they_were() {
        let draw = draw("", 42);
        for showing in [0, 7, (1 << 32) | 5] {
            let expected = below(Purpose::Timestep, 42, showing, 0, 1000);
            assert_eq!(draw.at(showing, 99), expected);
        }
    }

    proptest! {
        /// A run of n showings has, in each stretch of 2/n of the range, at least one; and nowhere more than a few too many.
        #[test]
        fn any_run_of_showings_covers_the_range_evenly(seed: u64, first in 0u64..1 << 40, count in 2u64..500) {
            let draw = draw("min = 20\nmax = 980\nstratified = true", seed);
            let stretches = count / 2;
            let mut counts = vec![0u64; stretches as usize];
            for place in first..first + count {
                let timestep = draw.at(seed ^ place, place);
                prop_assert!((20..980).contains(&timestep));
                counts[((timestep - 20) as u64 * stretches / 960) as usize] += 1;
            }
            // Timesteps are whole: a stretch may gain or lose the showings of one timestep at either end.
            let one = count.div_ceil(960) + 1;
            prop_assert!(counts.iter().all(|&n| n >= 1 && n <= 4 + one), "{counts:?}");
        }

        #[test]
        fn draws_stay_in_their_range(
            seed: u64,
            min in 0usize..999,
            length in 1usize..30,
            key in 0u64..1 << 48,
            stratified: bool,
            logit: bool,
        ) {
            let max = (min + length).min(1000);
            let distribution = if logit { "logit_normal" } else { "uniform" };
            let settings = format!(
                "min = {min}\nmax = {max}\nstratified = {stratified}\nstd = 3\ndistribution = '{distribution}'"
            );
            let draw = draw(&settings, seed);
            for key in key..key + 50 {
                let timestep = draw.at(key, key >> 3);
                prop_assert!((min..max).contains(&timestep));
                prop_assert_eq!(timestep, draw.at(key, key >> 3));
            }
        }
    }

    #[test]
    fn seeds_shift_the_strata() {
        let first = |seed| draw("stratified = true", seed).at(0, 0);
        let differ = (1..20).filter(|&seed| first(seed) != first(0)).count();
        assert!(differ > 15);
    }
}
