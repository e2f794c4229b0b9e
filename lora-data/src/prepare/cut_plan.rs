use super::{CropMode, PrepareOptions, SmallPolicy, Target};
use crate::{Buckets, Fit, Resolution, buckets::covering};

/// Says to which size a picture is brought, by its size alone.
#[derive(Debug)]
pub(super) struct CutPlanner {
    target: Target,
    buckets: Option<Buckets>,
    crop: CropMode,
    small: SmallPolicy,
}

/// What becomes of a picture of some size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CutPlan {
    pub(super) planned: Planned,
    /// Whether it is smaller than what was asked for.
    pub(super) is_small: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Planned {
    /// It is resized and cut.
    Cut(Fit),
    /// It is left out, for it would have to be enlarged to this.
    TooSmall(Resolution),
    /// It is left out, for a side is shorter than this step of the buckets.
    BelowBucket(u32),
}

impl CutPlanner {
    /// The options must have been checked.
    pub(super) fn new(options: &PrepareOptions) -> Self {
        let buckets = match options.target {
            Target::Buckets { resolution, config } => Buckets::new(resolution, &config).ok(),
            Target::Whole { .. } | Target::Size(_) => None,
        };
        Self {
            target: options.target,
            buckets,
            crop: options.crop,
            small: options.small,
        }
    }

    /// The plan for a picture of `size` pixels, at least one each way.
    pub(super) fn plan(&self, size: (u32, u32)) -> CutPlan {
        let fit = match self.target {
            Target::Whole { max_side } => Some(whole(scaled_down(size, max_side))),
            Target::Size(bucket) => Some(Fit {
                bucket,
                resized: covering(size, bucket),
            }),
            Target::Buckets { .. } => self
                .buckets
                .as_ref()
                .and_then(|buckets| buckets.select(size.0, size.1)),
        };
        let Some(fit) = fit else {
            return CutPlan {
                planned: Planned::BelowBucket(self.step()),
                is_small: true,
            };
        };
        let is_enlarged = fit.resized.0 > size.0 || fit.resized.1 > size.1;
        let planned = match self.small {
            _ if !is_enlarged => Planned::Cut(fit),
            SmallPolicy::Upscale => Planned::Cut(fit),
            SmallPolicy::Keep => Planned::Cut(at_own_size(size, fit.bucket)),
            SmallPolicy::Skip => Planned::TooSmall(fit.bucket),
        };
        CutPlan {
            planned: match planned {
                Planned::Cut(fit) if self.crop == CropMode::None => {
                    Planned::Cut(whole(fit.resized))
                }
                planned => planned,
            },
            is_small: is_enlarged || self.is_below_area(size),
        }
    }

    /// Where buckets are made to fit, nothing would have to be enlarged; few pixels it still has.
    fn is_below_area(&self, size: (u32, u32)) -> bool {
        let area = |width: u32, height: u32| u64::from(width) * u64::from(height);
        match self.target {
            Target::Buckets { resolution, config } => {
                config.no_upscale
                    && area(size.0, size.1) < area(resolution.width, resolution.height)
            }
            Target::Whole { .. } | Target::Size(_) => false,
        }
    }

    fn step(&self) -> u32 {
        match self.target {
            Target::Buckets { config, .. } => config.step,
            Target::Whole { .. } | Target::Size(_) => 1,
        }
    }
}

/// Resized and not cut.
fn whole(resized: (u32, u32)) -> Fit {
    let (width, height) = resized;
    Fit {
        bucket: Resolution { width, height },
        resized,
    }
}

/// The size with the longer side brought down to `most`.
pub(super) fn scaled_down((width, height): (u32, u32), most: Option<u32>) -> (u32, u32) {
    let longer = width.max(height);
    let most = most.unwrap_or(longer);
    if longer <= most {
        return (width, height);
    }
    let side = |side: u32| {
        let scaled = f64::from(side) * f64::from(most) / f64::from(longer);
        (scaled.round() as u32).max(1)
    };
    (side(width), side(height))
}

/// The largest part of the proportions of `target`, to the nearest pixel, without resizing.
fn at_own_size((width, height): (u32, u32), target: Resolution) -> Fit {
    let proportional = |side: u32, numerator: u32, denominator: u32, most: u32| {
        let side = f64::from(side) * f64::from(numerator) / f64::from(denominator);
        (side.round() as u32).clamp(1, most)
    };
    let is_wider =
        u64::from(width) * u64::from(target.height) >= u64::from(height) * u64::from(target.width);
    let bucket = if is_wider {
        Resolution {
            width: proportional(height, target.width, target.height, width),
            height,
        }
    } else {
        Resolution {
            width,
            height: proportional(width, target.height, target.width, height),
        }
    };
    Fit {
        bucket,
        resized: (width, height),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BucketConfig;

    fn plan(target: Target, crop: CropMode, small: SmallPolicy, size: (u32, u32)) -> CutPlan {
        let options = PrepareOptions {
            target,
            crop,
            small,
            ..PrepareOptions::default()
        };
        CutPlanner::new(&options).plan(size)
    }

    fn cut(bucket: (u32, u32), resized: (u32, u32)) -> Planned {
        let (width, height) = bucket;
        Planned::Cut(Fit {
            bucket: Resolution { width, height },
            resized,
        })
    }

    const SQUARE: Target = Target::Size(Resolution::square(512));

    #[test]
    fn a_size_is_covered_and_small_pictures_follow_the_policy() {
        use SmallPolicy::{Keep, Skip, Upscale};
        for (size, small, planned, is_small) in [
            ((1000, 800), Keep, cut((512, 512), (640, 512)), false),
            ((512, 512), Skip, cut((512, 512), (512, 512)), false),
            ((400, 300), Keep, cut((300, 300), (400, 300)), true),
            // The one side is long enough, the other not.
            ((2000, 300), Keep, cut((300, 300), (2000, 300)), true),
            ((400, 300), Upscale, cut((512, 512), (683, 512)), true),
            (
                (400, 300),
                Skip,
                Planned::TooSmall(Resolution::square(512)),
                true,
            ),
        ] {
            let plan = plan(SQUARE, CropMode::Centre, small, size);
            assert_eq!(
                (plan.planned, plan.is_small),
                (planned, is_small),
                "{size:?}"
            );
        }
        let upright = Target::Size(Resolution {
            width: 512,
            height: 768,
        });
        let small = plan(upright, CropMode::Centre, Keep, (300, 300));
        assert_eq!(small.planned, cut((200, 300), (300, 300)));
    }

    #[test]
    fn without_a_target_only_long_sides_are_scaled_down() {
        let most = |max_side| Target::Whole { max_side };
        let of = |target, size| plan(target, CropMode::Centre, SmallPolicy::Skip, size).planned;
        assert_eq!(
            of(most(None), (4000, 3000)),
            cut((4000, 3000), (4000, 3000))
        );
        assert_eq!(
            of(most(Some(1000)), (4000, 3000)),
            cut((1000, 750), (1000, 750))
        );
        assert_eq!(of(most(Some(1000)), (40, 30)), cut((40, 30), (40, 30)));
        assert_eq!(of(most(Some(10)), (10_000, 3)), cut((10, 1), (10, 1)));
    }

    #[test]
    fn nothing_is_cut_off_when_that_was_asked_for() {
        let whole = plan(SQUARE, CropMode::None, SmallPolicy::Keep, (1000, 800));
        assert_eq!(whole.planned, cut((640, 512), (640, 512)));
        let small = plan(SQUARE, CropMode::None, SmallPolicy::Keep, (400, 300));
        assert_eq!(small.planned, cut((400, 300), (400, 300)));
    }

    #[test]
    fn buckets_are_those_of_training() {
        let buckets = |no_upscale| Target::Buckets {
            resolution: Resolution::square(512),
            config: BucketConfig {
                no_upscale,
                ..BucketConfig::default()
            },
        };
        let of = |no_upscale, small, size| plan(buckets(no_upscale), CropMode::Centre, small, size);
        // 3:2 is nearest to 576 × 448 (1.29) or 640 × 384 (1.67): 1.5 is 0.21 and 0.17 away.
        assert_eq!(
            of(false, SmallPolicy::Skip, (3000, 2000)).planned,
            cut((640, 384), (640, 427))
        );
        let kept = of(false, SmallPolicy::Keep, (300, 200));
        assert_eq!(
            (kept.planned, kept.is_small),
            (cut((300, 180), (300, 200)), true)
        );
        let fitted = of(true, SmallPolicy::Skip, (300, 200));
        assert_eq!(
            (fitted.planned, fitted.is_small),
            (cut((256, 192), (300, 200)), true)
        );
        let below = of(true, SmallPolicy::Upscale, (300, 63));
        assert_eq!(
            (below.planned, below.is_small),
            (Planned::BelowBucket(64), true)
        );
    }
}
