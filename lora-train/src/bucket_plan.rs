use std::{collections::BTreeMap, num::NonZeroUsize};

use lora_data::Dataset;
use serde::Serialize;

/// One bucket of a plan: pictures that are trained at one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct BucketPlan {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Pictures of a batch.
    pub batch_size: usize,
    /// Pictures.
    pub pictures: usize,
    /// Showings of one epoch.
    pub exposures: u64,
    /// Batches of one epoch.
    pub batches: u64,
    /// Pictures of the last one, which may be short.
    pub last_batch: usize,
}

/// The buckets of a dataset, by width, height and batch size.
pub fn bucket_plans(data: &dyn Dataset, batch_size: NonZeroUsize) -> Vec<BucketPlan> {
    let mut buckets: BTreeMap<(u32, u32, usize), (usize, u64)> = BTreeMap::new();
    for entry in data.entries() {
        let own = data.subsets().get(entry.subset);
        let own = own.and_then(|subset| subset.batch_size);
        let key = (
            entry.target.width,
            entry.target.height,
            own.unwrap_or(batch_size).get(),
        );
        let (pictures, exposures) = buckets.entry(key).or_default();
        *pictures += 1;
        *exposures += u64::from(entry.repeats);
    }
    let plan = |((width, height, batch_size), (pictures, exposures)): (
        (u32, u32, usize),
        (usize, u64),
    )| {
        BucketPlan {
            width,
            height,
            batch_size,
            pictures,
            exposures,
            batches: exposures.div_ceil(batch_size as u64),
            last_batch: match (exposures % batch_size as u64) as usize {
                0 => batch_size,
                rest => rest,
            },
        }
    };
    buckets.into_iter().map(plan).collect()
}
