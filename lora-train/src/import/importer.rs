use lora_core::Family;
use lora_data::with_suggestion;
use toml::Value;

use super::{
    Fate, ForeignFormat, Import, ImportedKey,
    options::{Given, Options},
    values,
};
use crate::{config::TrainConfig, plan::problems, preset::written};

/// Values longer than this are cut short where they are told.
const SHOWN: usize = 60;

/// An import under way: the options that nobody has looked at yet, and what was made of the others.
#[derive(Debug)]
pub(super) struct Importer {
    pub(super) options: Options,
    pub(super) family: Family,
    pub(super) notes: Vec<String>,
    settings: toml::Table,
    keys: Vec<ImportedKey>,
}

impl Importer {
    pub(super) fn new(options: Options) -> Self {
        Self {
            options,
            family: Family::Sd1,
            notes: Vec::new(),
            settings: toml::Table::new(),
            keys: Vec::new(),
        }
    }

    /// Takes an option, unless it is not there.
    pub(super) fn take(&mut self, option: &str) -> Option<Given> {
        self.options.plain.remove(option)
    }

    /// Takes an option; one that says that something is not wanted is told as such.
    pub(super) fn take_on(&mut self, option: &str) -> Option<Given> {
        let given = self.take(option)?;
        if values::is_off(&given.value) {
            self.not_needed(&given, "it is off, as here");
            return None;
        }
        Some(given)
    }

    /// Takes a part of `network_args`; one that is off is told as such.
    pub(super) fn take_network(&mut self, part: &str) -> Option<Given> {
        let given = self.options.network.remove(part)?;
        if values::is_off(&given.value) {
            self.not_needed(&given, "it is off, as here");
            return None;
        }
        Some(given)
    }

    /// The text of an option that stays.
    pub(super) fn text(&self, option: &str) -> Option<String> {
        let given = self.options.plain.get(option)?;
        Some(values::text(&given.value)).filter(|text| !text.is_empty())
    }

    /// Sets `section.key`, if a config may say so.
    ///
    /// # Errors
    /// What the parser has against it.
    pub(super) fn put(&mut self, setting: &str, value: Value) -> Result<String, String> {
        let mut settings = self.settings.clone();
        let mut table = &mut settings;
        let mut path = setting.split('.').peekable();
        while let Some(part) = path.next() {
            if path.peek().is_none() {
                table.insert(part.to_owned(), value.clone());
                break;
            }
            let section = table
                .entry(part)
                .or_insert_with(|| Value::Table(toml::Table::new()));
            table = section.as_table_mut().ok_or("its section is a value")?;
        }
        let config: Result<TrainConfig, _> = settings.clone().try_into();
        config.map_err(|error| {
            with_suggestion(&error)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        })?;
        self.settings = settings;
        let list = value.as_array().map(Vec::as_slice);
        let is_tables = list.is_some_and(|list| list.iter().any(Value::is_table));
        let value = match list {
            Some([_]) if is_tables => "1 table".to_owned(),
            Some(tables) if is_tables => format!("{} tables", tables.len()),
            _ => written(&value),
        };
        Ok(format!("{setting} = {value}"))
    }

    /// Whether `section.key` is a setting and may have the value.
    pub(super) fn may_say(setting: &str, value: &Value) -> bool {
        let mut trial = Self::new(Options::default());
        trial.put(setting, value.clone()).is_ok()
    }

    /// Whether the optimiser that was set has the setting and takes the value.
    pub(super) fn may_be_of_the_optimizer(&self, setting: &str, value: &Value) -> bool {
        let mut trial = Self::new(Options::default());
        trial.settings.clone_from(&self.settings);
        trial.put(setting, value.clone()).is_ok()
    }

    /// The option is these settings.
    pub(super) fn map(
        &mut self,
        given: &Given,
        settings: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        match self.put_all(settings) {
            Ok(settings) => self.tell(given, Fate::Mapped { settings }),
            Err(reason) => self.not_supported(given, &reason),
        }
    }

    /// The option is not supported; these settings come closest.
    pub(super) fn replace(
        &mut self,
        given: &Given,
        reason: &str,
        settings: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        let instead = self.put_all(settings).unwrap_or_default();
        let reason = reason.to_owned();
        self.tell(given, Fate::NotSupported { reason, instead });
    }

    pub(super) fn not_needed(&mut self, given: &Given, reason: &str) {
        let reason = reason.to_owned();
        self.tell(given, Fate::NotNeeded { reason });
    }

    pub(super) fn not_supported(&mut self, given: &Given, reason: &str) {
        self.replace(given, reason, []);
    }

    /// What is no number, or none that makes sense.
    pub(super) fn not_a(&mut self, given: &Given, expected: &str) {
        self.not_supported(given, &format!("expected {expected}"));
    }

    /// What has been made of the options so far.
    pub(super) fn config(&self) -> TrainConfig {
        // Each value was accepted when it was set.
        self.settings.clone().try_into().unwrap_or_default()
    }

    /// Sets what the config leaves out and what is not the same here, and says so.
    pub(super) fn default_of_kohya(
        &mut self,
        option: &str,
        settings: impl IntoIterator<Item = (&'static str, Value)>,
    ) {
        if let Ok(settings) = self.put_all(settings) {
            self.notes.push(format!(
                "{option} is not there, so it is kohya's default: {}",
                settings.join(", ")
            ));
        }
    }

    fn put_all(
        &mut self,
        settings: impl IntoIterator<Item = (&'static str, Value)>,
    ) -> Result<Vec<String>, String> {
        settings
            .into_iter()
            .map(|(setting, value)| self.put(setting, value))
            .collect()
    }

    pub(super) fn tell(&mut self, given: &Given, fate: Fate) {
        let key = given.origin.clone();
        let value = written(&given.value);
        let secret = ["api_key", "huggingface_token"];
        let is_secret = secret
            .iter()
            .any(|name| key.contains(name) || value.contains(name));
        let value = match value.char_indices().nth(SHOWN) {
            _ if is_secret && !values::is_off(&given.value) => "…".to_owned(),
            Some((end, _)) => format!("{}…", &value[..end]),
            None => value,
        };
        self.keys.push(ImportedKey { key, value, fate });
    }

    pub(super) fn finish(mut self, format: ForeignFormat) -> Import {
        for (given, reason) in std::mem::take(&mut self.options.aside) {
            self.not_needed(&given, &reason);
        }
        let parts = std::mem::take(&mut self.options.network).into_values();
        for given in parts.chain(std::mem::take(&mut self.options.optimizer).into_values()) {
            self.tell(&given, Fate::Unknown { meant: None });
        }
        let config = self.config();
        let mut keys = self.keys;
        keys.sort_by(|one, other| one.key.cmp(&other.key));
        let mut notes = self.notes;
        notes.extend(
            problems(&config)
                .into_iter()
                .map(|problem| format!("the run cannot start yet: {problem}")),
        );
        Import {
            format,
            keys,
            notes,
            config,
        }
    }
}
