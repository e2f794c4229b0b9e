use std::collections::BTreeMap;

use toml::Value;

use super::{foreign_file::ForeignFile, values};

/// A value of another trainer's config, and where it stood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Given {
    /// The key as the file has it.
    pub(super) origin: String,
    pub(super) value: Value,
}

impl Given {
    pub(super) fn new(origin: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            origin: origin.into(),
            value: value.into(),
        }
    }
}

/// The options of kohya's `train_network.py`, by name, with the parts of its lists of `key=value` taken apart.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) options: BTreeMap<String, Given>,
    /// Parts of `network_args`.
    pub(super) network: BTreeMap<String, Given>,
    /// Parts of `optimizer_args`.
    pub(super) optimizer: BTreeMap<String, Given>,
    /// Lists that are there and empty.
    pub(super) empty: Vec<Given>,
}

impl Options {
    /// Those of a file that has kohya's names, in sections or not.
    pub(super) fn of_kohya(file: &ForeignFile) -> Self {
        let mut options = Self::default();
        for (key, value) in &file.flat {
            options.set(key, Given::new(key, value.clone()));
        }
        options
    }

    /// Sets `option`, or the parts of what is a list of `key=value`.
    pub(super) fn set(&mut self, option: &str, given: Given) {
        let parts = match option {
            "network_args" => &mut self.network,
            "optimizer_args" => &mut self.optimizer,
            _ => {
                self.options.insert(option.to_owned(), given);
                return;
            }
        };
        let list = values::list(&given.value);
        if list.is_empty() {
            self.empty.push(given);
            return;
        }
        for part in list {
            let part = part.replace(['"', '\''], "");
            let (key, value) = part.split_once('=').unwrap_or((&part, ""));
            let origin = format!("{}: {}", given.origin, key.trim());
            parts.insert(key.trim().to_owned(), Given::new(origin, value.trim()));
        }
    }
}
