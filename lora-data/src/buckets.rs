use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{Problem, Resolution};

/// Which sizes pictures are sorted into, so that each is cut as little as possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BucketConfig {
    /// The shortest side of a bucket, in pixels.
    pub min: u32,
    /// The longest side of a bucket, in pixels.
    pub max: u32,
    /// Sides are multiples of this, in pixels: 64 for Stable Diffusion.
    pub step: u32,
    /// Whether pictures are never enlarged: buckets are then made to fit the pictures.
    pub no_upscale: bool,
}

impl Default for BucketConfig {
    /// kohya's defaults.
    fn default() -> Self {
        Self {
            min: 256,
            max: 1024,
            step: 64,
            no_upscale: false,
        }
    }
}

/// Where a picture goes: first resized, then cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// The size that it is cut to.
    pub bucket: Resolution,
    /// Width and height that it is resized to before that; neither is below the bucket's.
    pub resized: (u32, u32),
}

/// Aspect-ratio buckets, chosen as kohya's sd-scripts choose them (`BucketManager`, `make_bucket_resolutions`).
///
/// Squares and, for each width from `min` to `max` by `step`, the greatest height whose area is no more than the
/// resolution's, both ways round; a picture goes to the bucket whose width over height is nearest to its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Buckets {
    sizes: Vec<Resolution>,
    area: u64,
    step: u32,
    no_upscale: bool,
}

impl Buckets {
    /// The buckets of about `resolution`'s area.
    ///
    /// # Errors
    /// With all settings that do not go together.
    pub fn new(resolution: Resolution, config: &BucketConfig) -> Result<Self, Vec<Problem>> {
        let problems = problems(resolution, config);
        if !problems.is_empty() {
            return Err(problems);
        }
        let area = u64::from(resolution.width) * u64::from(resolution.height);
        let sizes = predefined(area, &in_steps(*config));
        if sizes.is_empty() {
            return Err(vec![Problem::Setting {
                setting: "buckets.min",
                value: config.min.to_string(),
                expected: "room for a bucket of the resolution's area between buckets.min and buckets.max",
            }]);
        }
        Ok(Self {
            sizes,
            area,
            step: config.step,
            no_upscale: config.no_upscale,
        })
    }

    /// The predefined sizes, by width and then height; `no_upscale` makes others.
    pub fn sizes(&self) -> &[Resolution] {
        &self.sizes
    }

    /// The bucket of a picture of `width` × `height` pixels, and its size before cutting.
    ///
    /// `None` where `no_upscale` is set and a side is shorter than a step.
    pub fn select(&self, width: u32, height: u32) -> Option<Fit> {
        if width == 0 || height == 0 {
            return None;
        }
        if self.no_upscale {
            return self.shrunk(width, height);
        }
        let bucket = self.nearest(width, height)?;
        Some(Fit {
            bucket,
            resized: covering((width, height), bucket),
        })
    }

    /// The bucket of the very size, else the one of the nearest proportions; of equals the first.
    fn nearest(&self, width: u32, height: u32) -> Option<Resolution> {
        let size = Resolution { width, height };
        if self.sizes.contains(&size) {
            return Some(size);
        }
        let proportions = ratio(width, height);
        let error = |bucket: &Resolution| (ratio(bucket.width, bucket.height) - proportions).abs();
        // `min_by` takes the first of equals, as NumPy's `argmin`.
        self.sizes
            .iter()
            .copied()
            .min_by(|a, b| error(a).total_cmp(&error(b)))
    }

    fn shrunk(&self, width: u32, height: u32) -> Option<Fit> {
        let resized = if u64::from(width) * u64::from(height) > self.area {
            self.shrunk_size(ratio(width, height))
        } else {
            (width, height)
        };
        let bucket = Resolution {
            width: resized.0 - resized.0 % self.step,
            height: resized.1 - resized.1 % self.step,
        };
        (bucket.width > 0 && bucket.height > 0).then_some(Fit { bucket, resized })
    }

    /// About the resolution's area, with one side a multiple of the step: the one that keeps the proportions better.
    fn shrunk_size(&self, proportions: f64) -> (u32, u32) {
        let width = (self.area as f64 * proportions).sqrt();
        let height = self.area as f64 / width;
        let by_width = self.rounded(width);
        let error_by_width = {
            let height = self.rounded(f64::from(by_width) / proportions);
            (f64::from(by_width) / f64::from(height) - proportions).abs()
        };
        let by_height = self.rounded(height);
        let error_by_height = {
            let width = self.rounded(f64::from(by_height) * proportions);
            (f64::from(width) / f64::from(by_height) - proportions).abs()
        };
        if error_by_width < error_by_height {
            (by_width, nearest_whole(f64::from(by_width) / proportions))
        } else {
            (nearest_whole(f64::from(by_height) * proportions), by_height)
        }
    }

    /// The nearest whole number, down to a multiple of the step.
    fn rounded(&self, side: f64) -> u32 {
        let side = nearest_whole(side);
        side - side % self.step
    }
}

/// The smallest size of a picture's proportions, to the nearest pixel, that covers `target`.
pub(crate) fn covering((width, height): (u32, u32), target: Resolution) -> (u32, u32) {
    let scale = if ratio(width, height) > ratio(target.width, target.height) {
        ratio(target.height, height)
    } else {
        ratio(target.width, width)
    };
    let scaled = |side: u32| nearest_whole(f64::from(side) * scale);
    (
        scaled(width).max(target.width),
        scaled(height).max(target.height),
    )
}

/// As kohya's `adjust_min_max_bucket_reso_by_steps`: the least side down and the greatest up to a multiple of the step.
fn in_steps(config: BucketConfig) -> BucketConfig {
    BucketConfig {
        min: (config.min / config.step * config.step).max(config.step),
        max: config.max.next_multiple_of(config.step),
        ..config
    }
}

fn predefined(area: u64, config: &BucketConfig) -> Vec<Resolution> {
    let step = u64::from(config.step);
    let down = |side: u64| (side / step * step) as u32;
    let mut sizes = BTreeSet::new();
    // kohya divides the root by the step as floating point numbers, which gives the same whole number.
    let square = down((area as f64).sqrt() as u64);
    sizes.insert((square, square));
    for width in (config.min..=config.max).step_by(config.step as usize) {
        let height = config.max.min(down(area / u64::from(width)));
        if height >= config.min {
            sizes.insert((width, height));
            sizes.insert((height, width));
        }
    }
    sizes
        .into_iter()
        .filter(|&(width, height)| width > 0 && height > 0)
        .map(|(width, height)| Resolution { width, height })
        .collect()
}

fn problems(resolution: Resolution, config: &BucketConfig) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut require = |holds: bool, setting: &'static str, value: u32, expected: &'static str| {
        if !holds {
            problems.push(Problem::Setting {
                setting,
                value: value.to_string(),
                expected,
            });
        }
    };
    require(
        config.step >= 8 && config.step.is_multiple_of(8),
        "buckets.step",
        config.step,
        "a multiple of 8; 64 is usual",
    );
    require(
        config.min > 0 && config.min <= config.max,
        "buckets.min",
        config.min,
        "a side in pixels from 1 to buckets.max",
    );
    require(
        config.max <= MAX_SIDE,
        "buckets.max",
        config.max,
        "no more than 16384 pixels",
    );
    let side = resolution.width.max(resolution.height);
    require(
        config.max >= side,
        "buckets.max",
        config.max,
        "no less than the sides of the resolution",
    );
    problems
}

/// No bucket is longer: latents of such pictures fit into no device.
const MAX_SIDE: u32 = 16_384;

fn ratio(a: u32, b: u32) -> f64 {
    f64::from(a) / f64::from(b)
}

/// Python's `int(x + 0.5)` of a positive number.
fn nearest_whole(side: f64) -> u32 {
    (side + 0.5) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_go_together_is_named() {
        let refused = |config: BucketConfig| {
            let problems = Buckets::new(Resolution::square(512), &config).unwrap_err();
            problems.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let usual = BucketConfig::default();
        for (config, setting) in [
            (BucketConfig { step: 12, ..usual }, "buckets.step = 12"),
            (BucketConfig { min: 2000, ..usual }, "buckets.min = 2000"),
            (BucketConfig { max: 448, ..usual }, "buckets.max = 448"),
            (
                BucketConfig {
                    step: 1024,
                    min: 1024,
                    ..usual
                },
                "buckets.min = 1024",
            ),
        ] {
            assert!(
                refused(config)[0].starts_with(setting),
                "{:?}",
                refused(config)
            );
        }
    }

    #[test]
    fn sides_are_multiples_of_the_step_whatever_the_limits() {
        let config = BucketConfig {
            min: 260,
            max: 1001,
            ..BucketConfig::default()
        };
        let buckets = Buckets::new(Resolution::square(512), &config).unwrap();
        let usual = Buckets::new(Resolution::square(512), &BucketConfig::default()).unwrap();
        assert_eq!(buckets.sizes(), usual.sizes());
    }

    #[test]
    fn a_picture_below_a_step_has_no_bucket_unless_it_is_enlarged() {
        let keep = BucketConfig {
            no_upscale: true,
            ..BucketConfig::default()
        };
        let resolution = Resolution::square(512);
        assert_eq!(
            Buckets::new(resolution, &keep).unwrap().select(63, 400),
            None
        );
        let enlarge = Buckets::new(resolution, &BucketConfig::default()).unwrap();
        assert!(enlarge.select(63, 400).is_some());
        assert_eq!(enlarge.select(0, 400), None);
    }
}
