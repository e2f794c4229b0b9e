use lora_data::BucketConfig;

use super::{OptimizerConfig, TrainConfig};

impl TrainConfig {
    /// Every setting, as `section.key` and value; lists, those of tables too, are one value. What is unset is not there.
    pub fn settings(&self) -> toml::Table {
        let mut flat = toml::Table::new();
        // What cannot be written has no value that could be told.
        flatten(
            "",
            toml::Table::try_from(self).unwrap_or_default(),
            &mut flat,
        );
        flat
    }

    /// The settings that a file has to name to mean this config: those that are not the defaults.
    ///
    /// An optimiser's settings are compared with the defaults of its kind. `[dataset.buckets]` is told by its `min` and
    /// `max`, for the section by itself means something.
    pub fn differences(&self) -> toml::Table {
        let usual = Self {
            optimizer: usual_of_kind(&self.optimizer),
            ..Self::default()
        };
        let (kind, usual) = (Self::default().optimizer, usual.settings());
        let buckets = self.dataset.buckets.map(|_| BucketConfig::default());
        let buckets = toml::Table::try_from(buckets.unwrap_or_default()).unwrap_or_default();
        let is_default = |key: &str, value: &toml::Value| match key {
            "optimizer.kind" => kind.name() == self.optimizer.name(),
            "dataset.buckets.min" | "dataset.buckets.max" => false,
            _ => match key.strip_prefix("dataset.buckets.") {
                Some(key) => buckets.get(key) == Some(value),
                None => usual.get(key) == Some(value),
            },
        };
        let mut settings = self.settings();
        let optimizer = settings.get("optimizer.kind").cloned();
        settings.retain(|key, value| !is_default(key, value));
        // A section of it has to name the kind.
        if settings.keys().any(|key| key.starts_with("optimizer.")) {
            settings.extend(optimizer.map(|kind| ("optimizer.kind".to_owned(), kind)));
        }
        settings
    }
}

/// An optimiser of the same kind with all its defaults.
fn usual_of_kind(optimizer: &OptimizerConfig) -> OptimizerConfig {
    let kind = toml::Table::try_from(optimizer)
        .ok()
        .and_then(|mut table| table.remove("kind"));
    let only_kind = kind.map(|kind| toml::Table::from_iter([("kind".to_owned(), kind)]));
    only_kind
        .and_then(|table| table.try_into().ok())
        .unwrap_or_default()
}

fn flatten(prefix: &str, table: toml::Table, flat: &mut toml::Table) {
    for (key, value) in table {
        let key = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        match value {
            toml::Value::Table(table) => flatten(&key, table, flat),
            value => {
                flat.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(text: &str) -> Vec<String> {
        let config: TrainConfig = toml::from_str(text).expect("valid");
        config.differences().keys().cloned().collect()
    }

    #[test]
    fn only_what_differs_is_told() {
        assert!(keys("").is_empty());
        assert_eq!(
            keys("[train]\nepochs = 10\nbatch_size = 4\n[lora.dropout]\nrank = 0.1"),
            ["lora.dropout.rank", "train.batch_size"]
        );
        assert_eq!(
            keys("[optimizer]\nkind = 'prodigy'\nd_coef = 2.0"),
            ["optimizer.d_coef", "optimizer.kind"]
        );
        assert_eq!(
            keys("[optimizer]\nkind = 'adamw'\nweight_decay = 0.1"),
            ["optimizer.kind", "optimizer.weight_decay"]
        );
        assert_eq!(
            keys("[dataset.buckets]\nstep = 32"),
            [
                "dataset.buckets.max",
                "dataset.buckets.min",
                "dataset.buckets.step"
            ]
        );
        assert_eq!(
            keys("[[dataset.folders]]\npath = 'a'\n[[lora.blocks]]\nlayers = ['MID']\nlr = 0.5"),
            ["dataset.folders", "lora.blocks"]
        );
    }
}
