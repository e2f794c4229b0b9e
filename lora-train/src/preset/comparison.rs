use serde::Serialize;

use super::{Preset, setting_words::SETTINGS, written};
use crate::config::TrainConfig;

/// A setting, and what each of several presets makes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedSetting {
    /// `section.key`; `dataset.folders.repeats` too, which is said of each folder.
    pub key: String,
    /// Its default; nothing where it has none.
    pub default: Option<String>,
    /// Its value in each preset, in their order.
    pub values: Vec<Option<String>>,
}

impl ComparedSetting {
    /// The settings in which one of `presets` differs from the defaults, in the order of the guide.
    pub fn among(presets: &[Preset]) -> Vec<Self> {
        let configs: Vec<TrainConfig> = presets.iter().map(|preset| preset.config()).collect();
        let tables: Vec<toml::Table> = configs.iter().map(TrainConfig::settings).collect();
        let defaults = TrainConfig::default().settings();
        let mut keys: Vec<String> = configs
            .iter()
            .flat_map(|config| config.differences().keys().cloned().collect::<Vec<_>>())
            .collect();
        let place = |key: &String| {
            SETTINGS
                .iter()
                .position(|words| words.key == key)
                .unwrap_or(SETTINGS.len())
        };
        keys.sort_by(|one, other| (place(one), one).cmp(&(place(other), other)));
        keys.dedup();
        let repeats = Self {
            key: "dataset.folders.repeats".to_owned(),
            default: None,
            values: presets
                .iter()
                .map(|preset| Some(preset.repeats().to_string()))
                .collect(),
        };
        let rows = keys.into_iter().map(|key| Self {
            default: defaults.get(&key).map(written),
            values: tables
                .iter()
                .map(|table| table.get(&key).map(written))
                .collect(),
            key,
        });
        [repeats].into_iter().chain(rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_compared_and_all_of_it() {
        let presets: Vec<Preset> = Preset::all().collect();
        let rows = ComparedSetting::among(&presets);
        for preset in &presets {
            for key in preset.config().differences().keys() {
                assert!(rows.iter().any(|row| row.key == *key), "{key}");
            }
        }
        for row in &rows[1..] {
            assert!(
                row.values.iter().any(|value| *value != row.default) || row.key.contains("buckets"),
                "{row:?}"
            );
        }
        let row = |key: &str| rows.iter().find(|row| row.key == key).expect("a row");
        assert_eq!(
            row("lora.rank").values[..3]
                .iter()
                .flatten()
                .collect::<Vec<_>>(),
            ["64", "128", "32"]
        );
        assert_eq!(
            row("dataset.folders.repeats").values[0].as_deref(),
            Some("100")
        );
    }
}
