//! Captions against what kohya's own `process_caption` made of them (testdata/captions).

use std::fs;

use lora_data::{CaptionConfig, Showing};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    caption: String,
    settings: Settings,
    step: u64,
    rendered: String,
}

/// kohya's names of the settings.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    caption_prefix: Option<String>,
    caption_suffix: Option<String>,
    caption_dropout_rate: f64,
    caption_dropout_every_n_epochs: u64,
    caption_separator: Option<String>,
    caption_tag_dropout_rate: f64,
    enable_wildcard: bool,
    keep_tokens: usize,
    keep_tokens_separator: Option<String>,
    secondary_separator: Option<String>,
    token_warmup_min: Option<usize>,
    token_warmup_step: f64,
}

#[test]
fn captions_are_kohyas_where_nothing_is_left_to_chance() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../testdata/captions/captions.json"
    );
    let cases: Vec<Case> = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert!(cases.len() > 400, "{}", cases.len());
    for case in cases {
        let settings = &case.settings;
        let usual = CaptionConfig::default();
        let config = CaptionConfig {
            prefix: settings.caption_prefix.clone().unwrap_or_default(),
            suffix: settings.caption_suffix.clone().unwrap_or_default(),
            dropout: settings.caption_dropout_rate,
            dropout_every_epochs: settings.caption_dropout_every_n_epochs,
            wildcards: settings.enable_wildcard,
            separator: settings
                .caption_separator
                .clone()
                .unwrap_or(usual.separator.clone()),
            keep_tokens: settings.keep_tokens,
            keep_tokens_separator: settings.keep_tokens_separator.clone(),
            warmup_min: settings.token_warmup_min.unwrap_or(usual.warmup_min),
            warmup_steps: settings.token_warmup_step,
            tag_dropout: settings.caption_tag_dropout_rate,
            secondary_separator: settings.secondary_separator.clone(),
            ..usual
        };
        let at = Showing {
            seed: 1,
            epoch: 2,
            ordinal: 3,
            step: case.step,
            steps: 20,
        };
        assert_eq!(
            config.render(&case.caption, &at),
            case.rendered,
            "{:?} at step {}: {settings:?}",
            case.caption,
            case.step
        );
    }
}
