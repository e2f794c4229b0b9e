use std::collections::BTreeMap;

use toml::Value;

use super::{
    SettingWords,
    setting_words::{Line, SETTINGS},
};
use crate::config::{DatasetConfig, TrainConfig};

/// Comments stand from this column on, where the line before them is short enough.
const COMMENT_COLUMN: usize = 34;

/// A config as a file for people: what differs from the defaults, in the order of the guide, with comments.
#[derive(Clone, Debug)]
pub struct RunFileText<'a> {
    config: &'a TrainConfig,
    heading: Vec<String>,
    /// Comments of settings, by `section.key`.
    comments: BTreeMap<String, String>,
    /// Whether settings are explained and those that matter are there with their defaults too.
    explained: bool,
}

impl<'a> RunFileText<'a> {
    /// Every setting explained, and those that matter offered with their defaults.
    pub fn explained(config: &'a TrainConfig) -> Self {
        Self {
            config,
            heading: Vec::new(),
            comments: BTreeMap::new(),
            explained: true,
        }
    }

    /// Nothing but what differs from the defaults.
    pub fn bare(config: &'a TrainConfig) -> Self {
        Self {
            explained: false,
            ..Self::explained(config)
        }
    }

    /// Adds a line of comment at the top.
    pub fn headed(mut self, line: impl Into<String>) -> Self {
        self.heading.push(line.into());
        self
    }

    /// Says `comment` of the setting `section.key` instead of what it means. That of a folder is `dataset.folders.repeats` and
    /// so on.
    pub fn with_comment(mut self, key: impl Into<String>, comment: impl Into<String>) -> Self {
        self.comments.insert(key.into(), comment.into());
        self
    }

    /// The text.
    pub fn text(&self) -> String {
        let mut settings = self.config.settings();
        let differences = self.config.differences();
        let mut sections = Sections::default();
        for words in SETTINGS {
            let value = settings.remove(words.key);
            if let Some(line) = self.line(words, value, differences.contains_key(words.key)) {
                sections.add(words.key, line);
            }
        }
        // What is of no interest to most stands at the end of its section.
        for (key, value) in settings {
            if differences.contains_key(&key)
                && !matches!(key.as_str(), "dataset.folders" | "lora.blocks")
            {
                let line = self.setting(&key, &value, "");
                sections.add(&key, line);
            }
        }
        let folders = self.folders();
        sections.insert_after("dataset", "[[dataset.folders]]", folders);
        sections.insert_after("lora", "[[lora.blocks]]", self.blocks());
        let heading = self
            .heading
            .iter()
            .map(|line| format!("# {line}").trim_end().to_owned());
        let mut text: Vec<String> = heading.collect();
        text.extend(sections.lines());
        text.join("\n").trim_start().to_owned() + "\n"
    }

    fn line(&self, words: &SettingWords, value: Option<Value>, differs: bool) -> Option<String> {
        let is_bucket = words.key.starts_with("dataset.buckets.");
        // Nothing is said of buckets where there are none.
        let offered = self.explained && !(is_bucket && value.is_none());
        match (words.line, value) {
            (_, Some(value)) if differs => Some(self.setting(words.key, &value, words.words)),
            (Line::Shown, Some(value)) if offered => {
                Some(self.setting(words.key, &value, words.words))
            }
            (Line::Offered, Some(value)) if offered => Some(commented(
                &format!("# {} = {}", short(words.key), written(&value)),
                &self.comment(words.key, words.words),
            )),
            (Line::Example(example), None) if offered => Some(commented(
                &format!("# {} = {example}", short(words.key)),
                &self.comment(words.key, words.words),
            )),
            _ => None,
        }
    }

    fn setting(&self, key: &str, value: &Value, words: &str) -> String {
        let line = format!("{} = {}", short(key), written(value));
        commented(&line, &self.comment(key, words))
    }

    fn comment(&self, key: &str, words: &str) -> String {
        let own = self.comments.get(key).cloned();
        let words = if self.explained { words } else { "" };
        // The guide's marks are for web pages.
        own.unwrap_or_else(|| words.replace('`', ""))
    }

    /// One table for each folder.
    fn folders(&self) -> Vec<Vec<String>> {
        let DatasetConfig { folders, .. } = &self.config.dataset;
        let tables = folders
            .iter()
            .filter_map(|folder| toml::Table::try_from(folder).ok());
        tables
            .map(|table| {
                self.table(
                    "dataset.folders",
                    table,
                    &["path", "repeats", "class_tokens"],
                )
            })
            .collect()
    }

    fn blocks(&self) -> Vec<Vec<String>> {
        let tables = self.config.lora.blocks.iter();
        let tables = tables.filter_map(|rule| toml::Table::try_from(rule).ok());
        tables
            .map(|table| self.table("lora.blocks", table, &["layers"]))
            .collect()
    }

    /// The lines of a table of a list, `first` its keys that go in front. A comment for a key that it lacks offers the key.
    fn table(&self, list: &str, mut table: toml::Table, first: &[&str]) -> Vec<String> {
        let mut lines = Vec::new();
        for &key in first {
            let path = format!("{list}.{key}");
            match table.remove(key) {
                Some(value) => lines.push(self.setting(&path, &value, "")),
                None => lines.extend(
                    self.comments
                        .get(&path)
                        .map(|comment| format!("# {key}: {comment}")),
                ),
            }
        }
        lines.extend(
            table
                .iter()
                .map(|(key, value)| self.setting(&format!("{list}.{key}"), value, "")),
        );
        lines
    }
}

/// Sections in the order in which they came, each with its lines.
#[derive(Default)]
struct Sections(Vec<(String, Vec<String>)>);

impl Sections {
    fn add(&mut self, key: &str, line: String) {
        let section = key.rsplit_once('.').map_or("", |(section, _)| section);
        let heading = format!("[{section}]");
        if let Some((_, lines)) = self.0.iter_mut().find(|(other, _)| *other == heading) {
            lines.push(line);
        } else {
            let at = self.place_of(section);
            self.0.insert(at, (heading, vec![line]));
        }
    }

    /// Behind what has the same first word, else at the end.
    fn place_of(&self, section: &str) -> usize {
        let first = |section: &str| {
            section
                .trim_matches(['[', ']'])
                .split('.')
                .next()
                .map(str::to_owned)
        };
        let same = |(heading, _): &(String, Vec<String>)| first(heading) == first(section);
        self.0
            .iter()
            .rposition(same)
            .map_or(self.0.len(), |index| index + 1)
    }

    fn insert_after(&mut self, section: &str, heading: &str, tables: Vec<Vec<String>>) {
        let own = format!("[{section}]");
        let at = match self.0.iter().position(|(other, _)| *other == own) {
            Some(index) => index + 1,
            None => self
                .0
                .iter()
                .position(|(other, _)| other.starts_with(&own[..own.len() - 1]))
                .unwrap_or(self.0.len()),
        };
        let tables = tables.into_iter().map(|lines| (heading.to_owned(), lines));
        self.0.splice(at..at, tables);
    }

    /// A heading whose lines are all offers is an offer itself, but for sections that change nothing by being there.
    fn lines(self) -> impl Iterator<Item = String> {
        self.0.into_iter().flat_map(|(heading, lines)| {
            // The optimiser's section needs its kind, and has it; that of buckets means something and is only there if it shall.
            [String::new(), heading].into_iter().chain(lines)
        })
    }
}

fn short(key: &str) -> &str {
    key.rsplit_once('.').map_or(key, |(_, key)| key)
}

fn commented(line: &str, comment: &str) -> String {
    if comment.is_empty() {
        return line.to_owned();
    }
    format!("{line:COMMENT_COLUMN$}  # {comment}")
}

/// A value as people write it: small numbers as `1e-4`, what was an f32 without the digits that it does not have.
pub(crate) fn written(value: &Value) -> String {
    match value {
        Value::Float(number) => {
            let single = *number as f32;
            let is_single = f64::from(single).to_bits() == number.to_bits();
            let is_small = *number != 0.0 && number.abs() < 1e-3;
            match (is_single, is_small) {
                (true, true) => format!("{single:e}"),
                (false, true) => format!("{number:e}"),
                (true, false) => format!("{single:?}"),
                (false, false) => format!("{number:?}"),
            }
        }
        Value::Array(values)
            if values.len() > 1
                && values
                    .iter()
                    .all(|value| value.as_str().is_some_and(|text| text.len() > 20)) =>
        {
            let lines: Vec<String> = values
                .iter()
                .map(|value| format!("    {},\n", written(value)))
                .collect();
            format!("[\n{}]", lines.concat())
        }
        Value::Array(values) => {
            let values: Vec<String> = values.iter().map(written).collect();
            format!("[{}]", values.join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_means_its_config() {
        for text in [
            "",
            "[dataset.buckets]\nstep = 32",
            "[[dataset.folders]]\npath = 'a'\nrepeats = 3\n[[dataset.folders]]\npath = 'b'\ncaption = { shuffle = true }",
            "[lora]\nrank = 4\nalpha = 0.1\n[lora.dropout]\nrank = 0.1\n[[lora.blocks]]\nlayers = ['MID', 'IN01-IN05']\nlr = 0.3",
            "[optimizer]\nkind = 'prodigy'\nd_coef = 2.0\n[train]\nunet_lr = 1.23456789e-5",
            "[preview]\nprompts = ['a long prompt with \"quotes\" in it', 'another long prompt \\ with a backslash']",
        ] {
            let config: TrainConfig = toml::from_str(text).expect("valid");
            for written in [
                RunFileText::bare(&config).text(),
                RunFileText::explained(&config).text(),
            ] {
                let again: TrainConfig =
                    toml::from_str(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
                assert_eq!(again, config, "{written}");
            }
        }
    }

    #[test]
    fn what_is_offered_is_the_default() {
        let config = TrainConfig::default();
        let offered = RunFileText::explained(&config).text();
        let is_default = |offer: &&str| {
            offer.contains(" = ") && !offer.contains("= true") && !offer.contains("\"vae")
        };
        let taken = |line| match str::strip_prefix(line, "# ").filter(is_default) {
            Some(offer) => offer,
            None => line,
        };
        let taken = offered.lines().map(taken).collect::<Vec<_>>().join("\n");
        let again: TrainConfig =
            toml::from_str(&taken).unwrap_or_else(|error| panic!("{error}\n{taken}"));
        let mut changed: Vec<String> = again.differences().keys().cloned().collect();
        changed.retain(|key| {
            !SETTINGS
                .iter()
                .any(|words| words.key == key && matches!(words.line, Line::Example(_)))
        });
        assert!(changed.is_empty(), "{changed:?}");
    }

    #[test]
    fn numbers_are_written_as_people_do() {
        for (value, expected) in [
            (Value::Float(1e-4), "1e-4"),
            (Value::Float(f64::from(0.1f32)), "0.1"),
            (Value::Float(0.1), "0.1"),
            (Value::Float(16.0), "16.0"),
            (Value::Float(0.0), "0.0"),
            (Value::Float(1.5e-5), "1.5e-5"),
            (Value::Integer(3), "3"),
        ] {
            assert_eq!(written(&value), expected);
        }
    }
}
