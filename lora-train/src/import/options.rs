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
    /// Those that are no lists.
    pub(super) plain: BTreeMap<String, Given>,
    /// Parts of `network_args`.
    pub(super) network: BTreeMap<String, Given>,
    /// Parts of `optimizer_args`.
    pub(super) optimizer: BTreeMap<String, Given>,
    /// What does nothing, and why: lists that are empty, and what something else goes before.
    pub(super) aside: Vec<(Given, String)>,
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

    /// Sets `option`, or the parts of what is a list of `key=value`. What was said before is put aside.
    pub(super) fn set(&mut self, option: &str, given: Given) {
        match option {
            "network_args" | "optimizer_args" => self.set_parts(option, given),
            _ => {
                let origin = given.origin.clone();
                let earlier = self.plain.insert(option.to_owned(), given);
                self.put_aside(earlier, &origin);
            }
        }
    }

    /// Sets a part of `network_args`.
    pub(super) fn set_network(&mut self, part: &str, given: Given) {
        let origin = given.origin.clone();
        let earlier = self.network.insert(part.to_owned(), given);
        self.put_aside(earlier, &origin);
    }

    /// Sets a part of `optimizer_args`.
    pub(super) fn set_optimizer(&mut self, part: &str, given: Given) {
        let origin = given.origin.clone();
        let earlier = self.optimizer.insert(part.to_owned(), given);
        self.put_aside(earlier, &origin);
    }

    fn put_aside(&mut self, earlier: Option<Given>, origin: &str) {
        let reason = format!("{origin} goes before it");
        self.aside.extend(earlier.map(|earlier| (earlier, reason)));
    }

    fn set_parts(&mut self, option: &str, given: Given) {
        let list = values::list(&given.value);
        if list.is_empty() {
            self.aside.push((given, "it is empty".to_owned()));
            return;
        }
        for part in list {
            let part = part.replace(['"', '\''], "");
            let (key, value) = part.split_once('=').unwrap_or((&part, ""));
            let origin = format!("{}: {}", given.origin, key.trim());
            let given = Given::new(origin, value.trim());
            if option == "network_args" {
                self.set_network(key.trim(), given);
            } else {
                self.set_optimizer(key.trim(), given);
            }
        }
    }
}
