//! The config as a person writes it.

use lora_data::{CaptionConfig, DatasetConfig, FolderConfig, Resolution};

#[test]
fn a_config_reads_as_written_and_comes_back() {
    let text = "
        resolution = [512, 768]

        [[folders]]
        path = \"dogs\"
        repeats = 10
        class_tokens = \"sks dog\"

        [[folders]]
        path = \"5_cat\"

        [caption]
        shuffle = true
        keep_tokens = 1
        dropout = 0.05
    ";
    let config: DatasetConfig = toml::from_str(text).unwrap();
    let dogs = FolderConfig {
        repeats: Some(10),
        class_tokens: Some("sks dog".into()),
        ..FolderConfig::new("dogs")
    };
    let expected = DatasetConfig {
        folders: vec![dogs, FolderConfig::new("5_cat")],
        resolution: Resolution {
            width: 512,
            height: 768,
        },
        caption: CaptionConfig {
            shuffle: true,
            keep_tokens: 1,
            dropout: 0.05,
            ..CaptionConfig::default()
        },
        ..DatasetConfig::default()
    };
    assert_eq!(config, expected);
    let written = toml::to_string(&config).unwrap();
    assert_eq!(
        toml::from_str::<DatasetConfig>(&written).unwrap(),
        config,
        "{written}"
    );
}

#[test]
fn unknown_keys_are_refused_at_every_level() {
    for text in [
        "resolutoin = 512",
        "[[folders]]\npath = \"a\"\nrepeat = 1",
        "[caption]\nshufle = true",
    ] {
        let error = toml::from_str::<DatasetConfig>(text)
            .unwrap_err()
            .to_string();
        assert!(error.contains("unknown field"), "{error}");
    }
}

#[test]
fn an_empty_config_is_the_default() {
    assert_eq!(
        toml::from_str::<DatasetConfig>("").unwrap(),
        DatasetConfig::default()
    );
}
