//! What saved files tell about the dataset.

use std::collections::BTreeMap;

use lora_core::lora_file::{AugmentationFacts, BucketFacts, DatasetFolder};
use lora_data::{BucketConfig, CaptionConfig, Dataset, Entry, dataset_dirs};
use serde_json::{Value, json};

use crate::config::TrainConfig;

/// The regularisation pictures, or the others.
fn entries(data: &dyn Dataset, regularisation: bool) -> Vec<Entry> {
    let is_wanted = |entry: &&Entry| {
        let subset = data.subsets().get(entry.subset);
        subset.is_some_and(|subset| subset.regularisation) == regularisation
    };
    data.entries().iter().filter(is_wanted).cloned().collect()
}

/// Showings of one epoch.
pub(crate) fn exposures(data: &dyn Dataset, regularisation: bool) -> u64 {
    lora_data::exposures_per_epoch(&entries(data, regularisation))
}

/// The folders by name.
pub(crate) fn folders(data: &dyn Dataset, regularisation: bool) -> BTreeMap<String, DatasetFolder> {
    dataset_dirs(&entries(data, regularisation))
        .into_iter()
        .map(|(name, folder)| {
            let folder = DatasetFolder {
                n_repeats: folder.n_repeats,
                img_count: folder.img_count,
            };
            (name, folder)
        })
        .collect()
}

/// kohya's `ss_bucket_info`: showings by bucket, and how far proportions are off on average. `None` without buckets.
pub(crate) fn bucket_info(config: &TrainConfig, data: &dyn Dataset) -> Option<Value> {
    settings(config, data)?;
    let mut buckets: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut error = 0.0;
    for entry in data.entries() {
        let target = (entry.target.width, entry.target.height);
        *buckets.entry(target).or_default() += u64::from(entry.repeats);
        let ratio = |(width, height): (u32, u32)| f64::from(width) / f64::from(height.max(1));
        error += (ratio(target) - ratio(entry.size)).abs();
    }
    let numbered = buckets
        .iter()
        .enumerate()
        .map(|(number, ((width, height), count))| {
            let bucket = json!({ "resolution": [width, height], "count": count });
            (number.to_string(), bucket)
        });
    let buckets: serde_json::Map<String, Value> = numbered.collect();
    Some(json!({
        "buckets": buckets,
        "mean_img_ar_error": error / data.entries().len().max(1) as f64,
    }))
}

/// The settings of buckets; of several groups the first that has them.
pub(crate) fn buckets(config: &TrainConfig, data: &dyn Dataset) -> BucketFacts {
    let settings = settings(config, data);
    BucketFacts {
        enabled: settings.is_some(),
        no_upscale: settings.is_some_and(|buckets| buckets.no_upscale),
        min_resolution: settings.map(|buckets| buckets.min),
        max_resolution: settings.map(|buckets| buckets.max),
    }
}

fn settings(config: &TrainConfig, data: &dyn Dataset) -> Option<BucketConfig> {
    match data.subsets() {
        [] => config.dataset.buckets,
        subsets => subsets.iter().find_map(|subset| subset.buckets),
    }
}

/// How captions are drawn; of several groups the first that is not for regularisation.
pub(crate) fn captions<'a>(config: &'a TrainConfig, data: &'a dyn Dataset) -> &'a CaptionConfig {
    let mut subsets = data.subsets().iter();
    let own = subsets.find(|subset| !subset.regularisation);
    own.map_or(&config.dataset.caption, |subset| &subset.caption)
}

/// Whether any pictures were varied.
pub(crate) fn augmentation(data: &dyn Dataset) -> AugmentationFacts {
    let any = |varies: fn(&lora_data::AugmentConfig) -> bool| {
        data.subsets().iter().any(|subset| varies(&subset.augment))
    };
    AugmentationFacts {
        color: any(|augment| augment.color),
        flip: any(|augment| augment.flip),
        random_crop: any(|augment| augment.random_crop),
        ..AugmentationFacts::default()
    }
}
