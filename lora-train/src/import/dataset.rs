use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{
    Fate, ForeignFormat, Import, ImportedKey,
    importer::Importer,
    options::{Given, Options},
    rules::is_option,
    values,
};
use crate::config::TrainConfig;

/// The model's options that depend on one another, and the pictures'.
pub(super) fn read(importer: &mut Importer) {
    model(importer);
    let has_config = folders(importer);
    resolution(importer);
    buckets(importer);
    captions(importer, has_config);
    masks(importer);
    caches(importer);
}

fn model(importer: &mut Importer) {
    match importer.take_on("pretrained_model_name_or_path") {
        Some(given) => {
            let path = values::text(&given.value);
            if !Path::new(&path).exists() {
                importer.notes.push(format!(
                    "{path} is not there; nothing is downloaded: model.path is a diffusers folder or a .safetensors file"
                ));
            }
            importer.map(&given, [("model.path", path.into())]);
        }
        None => importer
            .notes
            .push("no model is named: set model.path".to_owned()),
    }
    let is_v2 = importer
        .options
        .plain
        .get("v2")
        .is_some_and(|given| !values::is_off(&given.value));
    if let Some(given) = importer.take("v_parameterization") {
        match values::flag(&given.value) {
            Some(flag) if flag || is_v2 => {
                importer.map(&given, [("model.v_prediction", flag.into())]);
            }
            _ => importer.not_needed(&given, "it is off, as here"),
        }
    }
    if let Some(given) = importer.take_on("clip_skip") {
        match values::whole(&given.value) {
            Some(layers) => importer.map(&given, [("model.clip_skip", layers.into())]),
            None => importer.not_a(&given, "a whole number"),
        }
    }
    for name in ["fp8_base", "fp8_base_unet"] {
        if let Some(given) = importer.take_on(name) {
            // Ours saves memory only where blocks are computed again.
            let settings = [
                ("model.eight_bit", true.into()),
                ("train.gradient_checkpointing", "block".into()),
            ];
            importer.map(&given, settings);
        }
    }
    if let Some(given) = importer.take_on("max_token_length") {
        match values::whole(&given.value) {
            Some(tokens @ (75 | 150 | 225)) => {
                importer.map(&given, [("model.max_tokens", tokens.into())]);
            }
            Some(tokens) => {
                let nearest = if tokens < 113 {
                    75
                } else if tokens < 188 {
                    150
                } else {
                    225
                };
                importer.replace(
                    &given,
                    "there are 75, 150 and 225",
                    [("model.max_tokens", nearest.into())],
                );
            }
            None => importer.not_a(&given, "75, 150 or 225"),
        }
    }
}

/// Sets the folders; whether a dataset config says what is in them.
fn folders(importer: &mut Importer) -> bool {
    let config = importer.take_on("dataset_config");
    let pictures = importer.take_on("train_data_dir");
    let regularisation = importer.take_on("reg_data_dir");
    let metadata = importer.take_on("in_json");
    if let Some(given) = metadata {
        importer.not_supported(
            &given,
            "name it as metadata_file in a dataset_config, which dataset.kohya reads",
        );
    }
    if let Some(given) = config {
        importer.map(
            &given,
            [("dataset.kohya", values::text(&given.value).into())],
        );
        for given in [pictures, regularisation].into_iter().flatten() {
            importer.not_needed(&given, "dataset_config goes before it");
        }
        return true;
    }
    let mut folders = Vec::new();
    for (given, is_regularisation) in [(pictures, false), (regularisation, true)] {
        let Some(given) = given else { continue };
        let mut folder =
            Table::from_iter([("path".to_owned(), Value::from(values::text(&given.value)))]);
        if is_regularisation {
            folder.insert("regularisation".to_owned(), true.into());
        }
        folders.push(Value::Table(folder));
        importer.map(&given, [("dataset.folders", Value::Array(folders.clone()))]);
    }
    if folders.is_empty() {
        importer
            .notes
            .push("no pictures are named: set dataset.folders".to_owned());
    }
    false
}

fn resolution(importer: &mut Importer) {
    let Some(given) = importer.take_on("resolution") else {
        return;
    };
    // As 512, "512", "512,768" or [512, 768].
    let parts: Vec<i64> = match &given.value {
        Value::Array(values) => values.iter().filter_map(values::whole).collect(),
        value => values::text(value)
            .split([',', 'x'])
            .filter_map(|part| part.trim().parse().ok())
            .collect(),
    };
    let sides = match parts[..] {
        [side] => Value::from(side),
        [width, height] if width == height => Value::from(width),
        [width, height] => Value::Array(vec![width.into(), height.into()]),
        _ => return importer.not_a(&given, "a size in pixels, as 512 or 512,768"),
    };
    importer.map(&given, [("dataset.resolution", sides)]);
}

fn buckets(importer: &mut Importer) {
    let enabled = importer.take("enable_bucket");
    let is_on = enabled
        .as_ref()
        .is_some_and(|given| values::flag(&given.value) == Some(true));
    if let Some(given) = enabled {
        if is_on {
            importer.map(&given, [("dataset.buckets", Value::Table(Table::new()))]);
        } else {
            importer.not_needed(&given, "it is off, as here");
        }
    }
    for (option, setting) in [
        ("min_bucket_reso", "dataset.buckets.min"),
        ("max_bucket_reso", "dataset.buckets.max"),
        ("bucket_reso_steps", "dataset.buckets.step"),
    ] {
        let Some(given) = importer.take(option) else {
            continue;
        };
        match values::whole(&given.value) {
            _ if !is_on => importer.not_needed(&given, "there are no buckets"),
            Some(side) if side > 0 => importer.map(&given, [(setting, side.into())]),
            _ => importer.not_needed(&given, "it is empty"),
        }
    }
    if let Some(given) = importer.take_on("bucket_no_upscale") {
        if is_on {
            importer.map(&given, [("dataset.buckets.no_upscale", true.into())]);
        } else {
            importer.not_needed(&given, "there are no buckets");
        }
    }
    if let Some(given) = importer.take_on("resize_interpolation") {
        if values::text(&given.value).starts_with("lanczos") {
            importer.not_needed(&given, "pictures are always resized so");
        } else {
            importer.not_supported(&given, "pictures are made smaller by areas and larger by lanczos, as kohya's scripts do unasked");
        }
    }
}

/// What a dataset config of kohya's is not asked about here, though it is there.
const OF_THE_DATASET_CONFIG: [&str; 17] = [
    "caption_extension",
    "caption_extention",
    "caption_prefix",
    "caption_suffix",
    "caption_separator",
    "caption_dropout_rate",
    "caption_dropout_every_n_epochs",
    "caption_tag_dropout_rate",
    "enable_wildcard",
    "keep_tokens",
    "keep_tokens_separator",
    "secondary_separator",
    "shuffle_caption",
    "token_warmup_min",
    "token_warmup_step",
    "color_aug",
    "flip_aug",
];

fn captions(importer: &mut Importer, has_config: bool) {
    if has_config {
        for option in OF_THE_DATASET_CONFIG.into_iter().chain(["random_crop"]) {
            if let Some(given) = importer.take_on(option) {
                importer.not_supported(
                    &given,
                    "beside a dataset_config it does nothing here: write it into its [general]",
                );
            }
        }
        return;
    }
    let mut extension = importer.take_on("caption_extension");
    if let Some(given) = importer.take_on("caption_extention") {
        if extension.is_some() {
            importer.not_needed(&given, "caption_extension goes before it");
        } else {
            extension = Some(given);
        }
    }
    match extension {
        Some(given) => {
            let extension = values::text(&given.value).trim_start_matches('.').to_owned();
            importer.map(&given, [("dataset.caption.extensions", Value::Array(vec![extension.into()]))]);
        }
        None => importer.notes.push("caption_extension is not there; kohya's scripts look for .caption, here .txt counts too".to_owned()),
    }
}

fn masks(importer: &mut Importer) {
    let folder = importer.take_on("conditioning_data_dir");
    let alpha = importer.take_on("alpha_mask");
    if let Some(given) = &alpha {
        importer.map(given, [("dataset.mask.source", "alpha".into())]);
    }
    if let Some(given) = importer.take_on("masked_loss") {
        if alpha.is_some() {
            importer.map(&given, [("dataset.mask.source", "alpha".into())]);
        } else {
            importer.map(&given, [("dataset.mask.source", "file".into())]);
        }
    }
    if let Some(given) = folder {
        importer.not_supported(&given, "masks lie beside their pictures as NAME-masklabel.png, with dataset.mask.source = \"file\"");
    }
}

fn caches(importer: &mut Importer) {
    for option in [
        "cache_latents_to_disk",
        "cache_text_encoder_outputs_to_disk",
    ] {
        if let Some(given) = importer.take_on(option) {
            importer.map(&given, [("cache.folder", "cache".into())]);
        }
    }
}

/// A dataset config by itself, which `dataset.kohya` reads: each of its keys is followed there or refused by name.
pub(super) fn dataset_config(path: &Path, table: &Table) -> Import {
    let mut config = TrainConfig::default();
    config.dataset.kohya = Some(PathBuf::from(path));
    let refused = lora_data::check_kohya_config(path, &config.dataset);
    let mut importer = Importer::new(Options::default());
    let _ = importer.put("dataset.kohya", path.display().to_string().into());
    importer.notes.push(
        "dataset.kohya names the file, which is read anew by each run; set model.path".to_owned(),
    );
    let mut keys: Vec<ImportedKey> = Vec::new();
    each_key(&Value::Table(table.clone()), &mut |key, value| {
        let quoted = format!("`{key}`");
        let fate = match refused.iter().find(|problem| problem.contains(&quoted)) {
            Some(problem) => Fate::NotSupported {
                reason: problem.clone(),
                instead: Vec::new(),
            },
            None => Fate::Mapped {
                settings: vec!["dataset.kohya".to_owned()],
            },
        };
        let given = Given::new(key, value.clone());
        if !keys.iter().any(|told| told.key == key) {
            importer.tell(&given, fate);
            keys.push(ImportedKey {
                key: key.to_owned(),
                value: String::new(),
                fate: Fate::Unknown { meant: None },
            });
        }
    });
    importer.notes.extend(refused);
    importer.finish(ForeignFormat::KohyaDataset)
}

/// Every key that has a value, at any depth.
fn each_key(value: &Value, see: &mut dyn FnMut(&str, &Value)) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let holds_tables = value.is_table()
                    || value
                        .as_array()
                        .is_some_and(|values| values.iter().any(Value::is_table));
                if holds_tables && !is_option(key) {
                    each_key(value, see);
                } else {
                    see(key, value);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| each_key(value, see)),
        _ => {}
    }
}
