//! kohya's `dataset_config` files: `[general]` < `[[datasets]]` < `[[datasets.subsets]]` (`config_util.py`).

use std::{
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    AugmentConfig, BucketConfig, CaptionConfig, DatasetConfig, MaskConfig, MaskSource, Problem,
    Resolution, Subset,
    findings::Findings,
    group::{Group, prior},
    kohya_keys::{Keys, Level},
    toml_message::with_suggestion,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    general: Keys,
    #[serde(default)]
    datasets: Vec<Dataset>,
}

/// A `[[datasets]]` table: keys of its own and its subsets. The two are told apart before reading, for serde cannot
/// refuse unknown keys of a flattened struct.
#[derive(Debug)]
struct Dataset {
    keys: Keys,
    subsets: Vec<Keys>,
}

impl<'de> Deserialize<'de> for Dataset {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut keys = Keys::deserialize(deserializer)?;
        let subsets = keys.subsets.take().unwrap_or_default();
        Ok(Self { keys, subsets })
    }
}

/// The groups of the file at `path`; what it leaves out is kohya's default, or where that comes from kohya's command
/// line, from `config`.
///
/// # Errors
/// With every key that is unknown, out of place or refused.
pub(crate) fn read(
    path: &Path,
    config: &DatasetConfig,
    findings: &mut Findings,
) -> Result<Vec<Group>, Vec<Problem>> {
    let problem = |reason: String| Problem::File {
        path: path.into(),
        reason,
    };
    let text = fs::read_to_string(path).map_err(|cause| vec![problem(cause.to_string())])?;
    let file: File =
        toml::from_str(&text).map_err(|error| vec![problem(with_suggestion(&error))])?;
    let mut problems: Vec<Problem> = Vec::new();
    let mut complain = |place: &str, keys: &Keys, level: Level| {
        let refused = keys.refused(level).into_iter();
        problems.extend(refused.map(|reason| problem(format!("{place}: {reason}"))));
    };
    complain("[general]", &file.general, Level::General);
    let mut groups = Vec::new();
    for (dataset, number) in file.datasets.iter().zip(1..) {
        let place = format!("[[datasets]] {number}");
        complain(&place, &dataset.keys, Level::Dataset);
        for (subset, index) in dataset.subsets.iter().zip(1..) {
            let place = format!("{place}, [[datasets.subsets]] {index}");
            complain(&place, subset, Level::Subset);
            let keys = subset.over(&dataset.keys.over(&file.general));
            groups.push(Group {
                dataset: number,
                ..group(path, &keys, config)
            });
        }
    }
    if groups.is_empty() && problems.is_empty() {
        problems.push(problem("it has no [[datasets.subsets]]".to_owned()));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    findings.note(
        path,
        format!("kohya's dataset config with {} subsets", groups.len()),
    );
    Ok(groups)
}

/// Everything in kohya's dataset config at `path` that cannot be followed, in words; `config` is where it is to be named.
///
/// Whether its folders are there is another matter.
pub fn check_kohya_config(path: &Path, config: &DatasetConfig) -> Vec<String> {
    match read(path, config, &mut Findings::default()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

fn group(file: &Path, keys: &Keys, config: &DatasetConfig) -> Group {
    let regularisation = keys.is_reg.unwrap_or(false);
    let folder = keys.image_dir.as_deref().unwrap_or(Path::new(""));
    Group {
        path: placed(file, folder),
        repeats: Some(keys.num_repeats.unwrap_or(1)),
        class_tokens: keys.class_tokens.clone(),
        is_leaf: true,
        dataset: 0,
        metadata: keys.metadata_file.as_ref().map(|path| placed(file, path)),
        resolution: keys.resolution.map_or(config.resolution, Resolution::from),
        mask: if keys.alpha_mask.unwrap_or(false) {
            MaskConfig {
                source: MaskSource::Alpha,
                ..config.mask
            }
        } else {
            config.mask
        },
        rules: Subset {
            caption: caption(keys, config),
            augment: AugmentConfig {
                flip: keys.flip_aug.unwrap_or(config.augment.flip),
                color: keys.color_aug.unwrap_or(config.augment.color),
                random_crop: keys.random_crop.unwrap_or(config.augment.random_crop),
            },
            regularisation,
            loss_weight: prior(regularisation, config),
            buckets: buckets(keys, config),
            batch_size: keys.batch_size.and_then(NonZeroUsize::new),
        },
    }
}

/// Relative paths are taken from the working directory as by kohya, or from the file's folder where only that has them.
fn placed(file: &Path, path: &Path) -> PathBuf {
    let beside = file.parent().unwrap_or(Path::new("")).join(path);
    if path.is_relative() && !path.exists() && beside.exists() {
        beside
    } else {
        path.into()
    }
}

fn buckets(keys: &Keys, config: &DatasetConfig) -> Option<BucketConfig> {
    let usual = config.buckets.unwrap_or_default();
    keys.enable_bucket
        .unwrap_or(config.buckets.is_some())
        .then(|| BucketConfig {
            min: keys.min_bucket_reso.unwrap_or(usual.min),
            max: keys.max_bucket_reso.unwrap_or(usual.max),
            step: keys.bucket_reso_steps.unwrap_or(usual.step),
            no_upscale: keys.bucket_no_upscale.unwrap_or(usual.no_upscale),
        })
}

/// What the file leaves out is taken from the run's config, as kohya's scripts take it from the command line.
fn caption(keys: &Keys, config: &DatasetConfig) -> CaptionConfig {
    let usual = &config.caption;
    let text = |own: &Option<String>, usual: &str| own.clone().unwrap_or_else(|| usual.to_owned());
    CaptionConfig {
        extensions: vec![text(&keys.caption_extension, ".caption")],
        allow_missing: usual.allow_missing,
        prefix: text(&keys.caption_prefix, &usual.prefix),
        suffix: text(&keys.caption_suffix, &usual.suffix),
        dropout: keys.caption_dropout_rate.unwrap_or(usual.dropout),
        dropout_every_epochs: keys
            .caption_dropout_every_n_epochs
            .unwrap_or(usual.dropout_every_epochs),
        wildcards: keys.enable_wildcard.unwrap_or(usual.wildcards),
        separator: text(&keys.caption_separator, &usual.separator),
        keep_tokens: keys.keep_tokens.unwrap_or(usual.keep_tokens),
        keep_tokens_separator: keys
            .keep_tokens_separator
            .clone()
            .or_else(|| usual.keep_tokens_separator.clone()),
        warmup_min: keys.token_warmup_min.unwrap_or(usual.warmup_min),
        warmup_steps: keys.token_warmup_step.unwrap_or(usual.warmup_steps),
        shuffle: keys.shuffle_caption.unwrap_or(usual.shuffle),
        tag_dropout: keys.caption_tag_dropout_rate.unwrap_or(usual.tag_dropout),
        secondary_separator: keys
            .secondary_separator
            .clone()
            .or_else(|| usual.secondary_separator.clone()),
    }
}
