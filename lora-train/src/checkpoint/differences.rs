use std::{collections::BTreeMap, fmt};

use super::Sources;

/// Settings that do not change what is learnt.
const HARMLESS: [&str; 17] = [
    "output.",
    "preview.",
    "heldout.folder",
    "heldout.every",
    "heldout.timesteps",
    "heldout.patience",
    "heldout.noise",
    "choose.",
    "checkpoint.",
    "log.",
    "lint.",
    "cache.",
    "train.log_every",
    "train.gradient_checkpointing",
    "model.offload",
    "train.device",
    "train.more_devices",
];

/// Something that a run is made from and that is not what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A setting.
    Setting {
        /// Its key, such as `train.unet_lr`.
        key: String,
        /// What it was; unset where it was not there.
        before: Option<String>,
        /// What it is now.
        now: Option<String>,
    },
    /// Pictures, captions, repeats or groups.
    Data,
    /// The base model's files, or the LoRA file that the run started from.
    Model,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "unset".to_owned());
        match self {
            Self::Setting { key, before, now } => {
                write!(f, "{key} was {}, is now {}", text(before), text(now))
            }
            Self::Data => f.write_str("pictures, captions or repeats are not what they were"),
            Self::Model => {
                f.write_str("the base model's files, or that of lora.from, are not what they were")
            }
        }
    }
}

impl Difference {
    /// All that differs and matters.
    pub(crate) fn between(before: &Sources, now: &Sources) -> Vec<Self> {
        let (old, new) = (settings(&before.config), settings(&now.config));
        let mut keys: Vec<&String> = old.keys().chain(new.keys()).collect();
        keys.sort();
        keys.dedup();
        let matters = |key: &str| !HARMLESS.iter().any(|part| key.starts_with(part));
        let differing = keys
            .into_iter()
            .filter(|key| matters(key) && old.get(*key) != new.get(*key));
        let mut differences: Vec<Self> = differing
            .map(|key| Self::Setting {
                key: key.clone(),
                before: old.get(key).cloned(),
                now: new.get(key).cloned(),
            })
            .collect();
        if before.data != now.data {
            differences.push(Self::Data);
        }
        if before.model != now.model {
            differences.push(Self::Model);
        }
        differences
    }
}

/// Every value by its whole key.
fn settings(config: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    if let Ok(table) = config.parse::<toml::Table>() {
        flatten("", &table, &mut settings);
    }
    settings
}

fn flatten(prefix: &str, table: &toml::Table, settings: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let key = format!("{prefix}{key}");
        match value {
            toml::Value::Table(inside) => flatten(&format!("{key}."), inside, settings),
            value => {
                settings.insert(key, value.to_string());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(config: &str) -> Sources {
        Sources {
            config: config.to_owned(),
            data: "a".to_owned(),
            model: "b".to_owned(),
        }
    }

    fn told(before: &str, now: &str) -> Vec<String> {
        let differences = Difference::between(&sources(before), &sources(now));
        differences.iter().map(Difference::to_string).collect()
    }

    #[test]
    fn what_matters_is_told_with_both_values() {
        let before = "[train]\nunet_lr = 1e-4\nlog_every = 10\n[output]\nname = 'a'\n[lora.dropout]\nrank = 0.1";
        let now = "[train]\nunet_lr = 2e-4\nlog_every = 1\nmax_steps = 3\n[output]\nname = 'b'\n[lora.dropout]\nrank = 0.1";
        assert_eq!(
            told(before, now),
            [
                "train.max_steps was unset, is now 3",
                "train.unet_lr was 0.0001, is now 0.0002"
            ]
        );
        assert!(told(before, before).is_empty());
        let mut other = sources(before);
        (other.data, other.model) = ("c".to_owned(), "d".to_owned());
        assert_eq!(
            Difference::between(&sources(before), &other),
            [Difference::Data, Difference::Model]
        );
    }
}
