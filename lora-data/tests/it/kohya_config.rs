//! kohya's `dataset_config` and metadata files.

use lora_data::{Dataset, DatasetConfig, ImageFolders, Resolution};

use crate::folder::Folder;

fn config(folder: &Folder, toml: &str) -> DatasetConfig {
    folder.write("dataset.toml", toml);
    DatasetConfig {
        kohya: Some(folder.path("dataset.toml")),
        resolution: Resolution::square(8),
        ..DatasetConfig::default()
    }
}

fn opened(folder: &Folder, toml: &str) -> ImageFolders {
    ImageFolders::open(&config(folder, toml)).unwrap()
}

fn refused(folder: &Folder, toml: &str) -> String {
    let error = ImageFolders::open(&config(folder, toml)).unwrap_err();
    folder.relative(&error.to_string())
}

#[test]
fn what_the_file_leaves_out_is_the_run_s() {
    let folder = Folder::new();
    folder.captioned("one/a.png");
    let mut config = config(
        &folder,
        "[[datasets]]\nshuffle_caption = false\n[[datasets.subsets]]\nimage_dir = 'one'\ncaption_extension = '.txt'\n",
    );
    config.caption.shuffle = true;
    config.caption.keep_tokens = 2;
    config.caption.prefix = "sks".to_owned();
    config.caption.dropout = 0.25;
    config.augment.flip = true;
    let opened = ImageFolders::open(&config).unwrap();
    let [subset] = opened.subsets() else {
        panic!("one subset")
    };
    assert!(!subset.caption.shuffle && subset.augment.flip);
    assert_eq!(
        (subset.caption.keep_tokens, subset.caption.prefix.as_str()),
        (2, "sks")
    );
    assert!((subset.caption.dropout - 0.25).abs() < 1e-9);
}

#[test]
fn settings_come_from_the_nearest_level() {
    let folder = Folder::new();
    folder
        .captioned("one/a.png")
        .picture("two/b.png")
        .picture("class/c.png")
        .write("two/b.caption", "b, c");
    let opened = opened(
        &folder,
        r#"
        [general]
        shuffle_caption = true
        keep_tokens = 1
        caption_extension = ".txt"
        flip_aug = true
        enable_bucket = false

        [[datasets]]
        resolution = 16
        batch_size = 4

          [[datasets.subsets]]
          image_dir = "one"
          num_repeats = 3

        [[datasets]]
        resolution = [24, 8]
        keep_tokens = 2

          [[datasets.subsets]]
          image_dir = "two"
          keep_tokens = 3
          caption_extension = ".caption"
          flip_aug = false

          [[datasets.subsets]]
          image_dir = "class"
          is_reg = true
          class_tokens = "dog"
        "#,
    );
    let entries = opened.entries();
    let subset = |index: usize| &opened.subsets()[entries[index].subset];
    assert_eq!(entries.len(), 3);
    assert_eq!(entries[0].target, Resolution::square(16));
    assert_eq!(
        entries[1].target,
        Resolution {
            width: 24,
            height: 8
        }
    );
    assert_eq!(
        (entries[0].repeats, entries[1].repeats, entries[2].repeats),
        (3, 1, 1)
    );
    let keep = [0, 1, 2].map(|index| subset(index).caption.keep_tokens);
    assert_eq!(keep, [1, 3, 2]);
    assert_eq!(
        [0, 1, 2].map(|index| subset(index).augment.flip),
        [true, false, true]
    );
    assert_eq!(subset(0).batch_size.map(usize::from), Some(4));
    assert_eq!(subset(1).batch_size, None);
    assert!(subset(2).regularisation && subset(2).caption.shuffle);
    assert_eq!(entries[1].caption, "b, c");
    assert_eq!(entries[2].caption, "dog");
}

/// Every key of the schemas in kohya's `config_util.py`, with a value of its type.
const KEYS: [(&str, &str); 44] = [
    ("alpha_mask", "true"),
    ("batch_size", "2"),
    ("bucket_no_upscale", "true"),
    ("bucket_reso_steps", "8"),
    ("cache_info", "true"),
    ("caption_dropout_every_n_epochs", "2"),
    ("caption_dropout_rate", "0.1"),
    ("caption_extension", "'.txt'"),
    ("caption_prefix", "'a'"),
    ("caption_separator", "';'"),
    ("caption_suffix", "'a'"),
    ("caption_tag_dropout_rate", "0.1"),
    ("class_tokens", "'a'"),
    ("color_aug", "true"),
    ("conditioning_data_dir", "'a'"),
    ("custom_attributes", "{}"),
    ("debug_dataset", "true"),
    ("enable_bucket", "true"),
    ("enable_wildcard", "true"),
    ("face_crop_aug_range", "[1.0, 2.0]"),
    ("flip_aug", "true"),
    ("image_dir", "'set'"),
    ("is_reg", "true"),
    ("keep_tokens", "1"),
    ("keep_tokens_separator", "'|||'"),
    ("max_bucket_reso", "64"),
    ("max_token_length", "150"),
    ("metadata_file", "'meta.json'"),
    ("min_bucket_reso", "8"),
    ("network_multiplier", "0.5"),
    ("num_repeats", "2"),
    ("prior_loss_weight", "0.5"),
    ("random_crop", "true"),
    ("resize_interpolation", "'area'"),
    ("resolution", "16"),
    ("secondary_separator", "';;;'"),
    ("shuffle_caption", "true"),
    ("subsets", "[]"),
    ("token_warmup_min", "2"),
    ("token_warmup_step", "0.5"),
    ("validation_seed", "1"),
    ("validation_split", "0.1"),
    ("datasets", "[]"),
    ("general", "{}"),
];

/// What is refused, whatever the level.
const REFUSED: [&str; 11] = [
    "cache_info",
    "conditioning_data_dir",
    "custom_attributes",
    "debug_dataset",
    "face_crop_aug_range",
    "max_token_length",
    "network_multiplier",
    "prior_loss_weight",
    "resize_interpolation",
    "validation_seed",
    "validation_split",
];

#[test]
fn every_key_is_followed_or_refused_by_name() {
    for (key, value) in &KEYS[..42] {
        let folder = Folder::new();
        folder
            .captioned("set/a.png")
            .captioned("other/b.png")
            .write("meta.json", r#"{"a.png": {"caption": "a"}}"#);
        let is_dataset_key = matches!(
            *key,
            "batch_size"
                | "bucket_no_upscale"
                | "bucket_reso_steps"
                | "enable_bucket"
                | "max_bucket_reso"
                | "min_bucket_reso"
                | "resolution"
        );
        let (dataset, subset) = if is_dataset_key {
            (format!("{key} = {value}"), String::new())
        } else if *key == "image_dir" {
            (String::new(), String::new())
        } else {
            (String::new(), format!("{key} = {value}"))
        };
        let toml = format!(
            "[general]\nmin_bucket_reso = 8\nmax_bucket_reso = 64\nbucket_reso_steps = 8\n[[datasets]]\n{dataset}\n[[datasets.subsets]]\nimage_dir = 'set'\ncaption_extension = '.txt'\n{subset}\n[[datasets.subsets]]\nimage_dir = 'other'\ncaption_extension = '.txt'\n"
        );
        let toml = if *key == "caption_extension" {
            toml.replacen("caption_extension = '.txt'\n", "", 1)
        } else {
            toml
        };
        let result = ImageFolders::open(&config(&folder, &toml));
        match result {
            Ok(_) => assert!(!REFUSED.contains(key) && *key != "subsets", "{key}"),
            Err(error) => {
                let error = error.to_string();
                assert!(REFUSED.contains(key) || *key == "subsets", "{key}: {error}");
                assert!(error.contains(&format!("`{key}`")), "{key}: {error}");
            }
        }
    }
}

#[test]
fn mistakes_are_named_with_their_place() {
    let folder = Folder::new();
    folder.captioned("set/a.png");
    let subset = "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'set'\n";
    for (toml, expected) in [
        (
            format!("{subset}num_repeat = 3\n"),
            "Did you mean `num_repeats`?",
        ),
        (format!("{subset}num_repeats = 'three'\n"), "line 4"),
        (
            format!("{subset}batch_size = 2\n"),
            "[[datasets]] 1, [[datasets.subsets]] 1: `batch_size` does not belong here",
        ),
        (
            "[general]\nimage_dir = 'set'\n".to_owned(),
            "[general]: `image_dir` does not belong here",
        ),
        (
            "[[datasets]]\n[[datasets.subsets]]\n".to_owned(),
            "`image_dir` is missing",
        ),
        (
            "[general]\nkeep_tokens = 1\n".to_owned(),
            "it has no [[datasets.subsets]]",
        ),
        (format!("{subset}[generall]\n"), "unknown field `generall`"),
    ] {
        let error = refused(&folder, &toml);
        assert!(
            error.contains("dataset.toml: ") && error.contains(expected),
            "{toml}\n{error}"
        );
    }
}

#[test]
fn metadata_files_join_caption_and_tags() {
    let folder = Folder::new();
    folder
        .picture("set/a.png")
        .picture("set/b.png")
        .picture("set/图.png")
        .write(
            "meta.json",
            r#"{"a.png": {"caption": "a dog", "tags": "grass, sky"}, "b": {"tags": "tree", "train_resolution": [8, 8]},
                "图.png": {"caption": "中文"}}"#,
        );
    let toml = "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'set'\nmetadata_file = 'meta.json'\nnum_repeats = 2\n";
    let read = opened(&folder, toml);
    let captions: Vec<_> = read
        .entries()
        .iter()
        .map(|entry| (entry.caption.as_str(), entry.repeats))
        .collect();
    assert_eq!(
        captions,
        [("a dog,grass, sky", 2), ("tree", 2), ("中文", 2)]
    );

    folder.write(
        "meta.json",
        r#"{"gone.png": {"caption": "a"}, "a.png": {}}"#,
    );
    let error = refused(&folder, toml);
    assert!(
        error.contains("meta.json: `gone.png` is no picture in set"),
        "{error}"
    );
    assert!(
        error.contains("meta.json: `a.png` has neither caption nor tags"),
        "{error}"
    );
    folder.write("meta.json", "{\"a.png\": ");
    assert!(
        refused(&folder, toml).contains("meta.json: EOF while parsing"),
        "{}",
        refused(&folder, toml)
    );
}

#[test]
fn captions_of_another_ending_are_told() {
    let folder = Folder::new();
    folder.picture("set/a.png");
    folder.write("set/a.txt", "a dog");
    let toml = "[[datasets]]\n[[datasets.subsets]]\nimage_dir = 'set'\n";
    let error = refused(&folder, toml);
    assert!(
        error.contains("a.txt ends otherwise than captions do; add a.caption"),
        "{error}"
    );
    let classed = format!("{toml}class_tokens = 'sks'\n");
    let notes = opened(&folder, &classed).notes().join("\n");
    assert!(
        notes.contains("not read, for captions end in .caption: a.txt"),
        "{notes}"
    );
    let read = format!("{toml}caption_extension = '.txt'\n");
    let opened = opened(&folder, &read);
    assert_eq!(opened.entries()[0].caption, "a dog");
    assert!(!opened.notes().join("\n").contains("not read"));
}
