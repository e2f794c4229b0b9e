//! What a caption names stays adjustable, what it leaves out becomes part of the trigger word: rules about that.

use std::collections::{BTreeMap, BTreeSet};

use lora_data::Entry;

use super::{Finding, Severity, Subject, has_words, plain};

/// From so many captions on, a tag that all have says something.
const ENOUGH: usize = 4;
/// Names of files that a message spells out.
const SHOWN: usize = 3;

pub(super) fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = fixed_traits(subject);
    findings.extend(trigger_missing(subject));
    findings.extend(trigger_not_kept(subject));
    findings.extend(similar_tags(subject));
    findings.extend(constant_tags(subject));
    findings
}

fn fixed_traits(subject: &Subject<'_>) -> Vec<Finding> {
    let traits: BTreeSet<String> = subject
        .config
        .lint
        .fixed_traits
        .iter()
        .map(|tag| plain(tag))
        .collect();
    let tagged = subject.own().flat_map(|entry| {
        let found: BTreeSet<String> = written_tags(subject, entry)
            .into_iter()
            .filter(|tag| traits.contains(&plain(tag)))
            .collect();
        found.into_iter().map(move |written| (entry, written))
    });
    tagged
        .map(|(entry, written)| {
            let message = format!(
                "has the tag `{written}`, which lint.fixed_traits binds to the trigger word: delete the tag, or take it out of fixed_traits to keep the trait adjustable"
            );
            Finding::new(Severity::Error, "fixed-trait-tagged", message).about(&entry.image)
        })
        .collect()
}

fn trigger_missing(subject: &Subject<'_>) -> Option<Finding> {
    let trigger = plain(&subject.config.output.trigger);
    if trigger.is_empty() {
        return None;
    }
    let lacks = |entry: &&Entry| {
        let texts = subject.texts(entry);
        texts.iter().any(|text| !has_words(&plain(text), &trigger))
    };
    let lacking: Vec<&Entry> = subject.own().filter(lacks).collect();
    (!lacking.is_empty()).then(|| {
        let message = format!(
            "{} of {} captions are without the trigger word `{}`: {}",
            lacking.len(),
            subject.own().count(),
            subject.config.output.trigger,
            names(&lacking)
        );
        Finding::new(Severity::Warning, "trigger-missing", message)
    })
}

/// Whether the trigger may be shuffled away from the front, or dropped as a tag.
fn trigger_not_kept(subject: &Subject<'_>) -> Option<Finding> {
    let trigger = plain(&subject.config.output.trigger);
    let moves = |entry: &&Entry| {
        let rules = subject.rules(entry);
        let is_free =
            rules.keep_tokens_separator.is_none() && (rules.shuffle || rules.tag_dropout > 0.0);
        let is_late = |text: &String| {
            let place = rules
                .tags(text)
                .position(|tag| has_words(&plain(tag), &trigger));
            place.is_some_and(|place| place >= rules.keep_tokens)
        };
        is_free && subject.texts(entry).iter().any(is_late)
    };
    let moving: Vec<&Entry> = subject.own().filter(moves).collect();
    (!trigger.is_empty() && !moving.is_empty()).then(|| {
        let message = format!(
            "tags change places or are dropped, and the trigger word is not among the first caption.keep_tokens of {} captions: {}; put it in front and set caption.keep_tokens = 1",
            moving.len(),
            names(&moving)
        );
        Finding::new(Severity::Warning, "trigger-not-kept", message)
    })
}

fn similar_tags(subject: &Subject<'_>) -> Vec<Finding> {
    let mut spellings: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in subject.own() {
        for written in written_tags(subject, entry) {
            spellings
                .entry(plain(&written))
                .or_default()
                .insert(written);
        }
    }
    spellings
        .into_values()
        .filter(|written| written.len() > 1)
        .map(|written| {
            let written: Vec<String> = written.iter().map(|tag| format!("`{tag}`")).collect();
            let message = format!("one tag is spelt in several ways: {}", written.join(", "));
            Finding::new(Severity::Warning, "similar-tags", message)
        })
        .collect()
}

fn constant_tags(subject: &Subject<'_>) -> Option<Finding> {
    let trigger = plain(&subject.config.output.trigger);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut captions = 0;
    for entry in subject.own() {
        captions += 1;
        let tags = written_tags(subject, entry).into_iter();
        let tags: BTreeSet<String> = tags.map(|tag| plain(&tag)).collect();
        for tag in tags {
            *counts.entry(tag).or_default() += 1;
        }
    }
    let constant: Vec<String> = counts
        .into_iter()
        .filter(|(tag, count)| {
            *count == captions && (trigger.is_empty() || !has_words(tag, &trigger))
        })
        .map(|(tag, _)| format!("`{tag}`"))
        .collect();
    (captions >= ENOUGH && !trigger.is_empty() && !constant.is_empty()).then(|| {
        let message = format!(
            "all captions have {} beside the trigger word: what is always named is tied to its tag, not to the trigger; delete it to bind it to the trigger",
            constant.join(", ")
        );
        Finding::new(Severity::Info, "constant-tag", message)
    })
}

/// The tags of every text that a picture can be shown with, as they are written.
fn written_tags(subject: &Subject<'_>, entry: &Entry) -> BTreeSet<String> {
    let rules = subject.rules(entry);
    let texts = subject.texts(entry);
    texts
        .iter()
        .flat_map(|text| rules.tags(text))
        .map(str::to_owned)
        .collect()
}

/// The names of some pictures, the first few spelt out.
fn names(entries: &[&Entry]) -> String {
    let name = |entry: &&Entry| {
        let name = entry.image.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    let shown: Vec<String> = entries.iter().take(SHOWN).map(name).collect();
    match entries.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use crate::lint::example::{captioned, found, settings};

    #[test]
    fn a_fixed_trait_must_not_be_tagged() {
        let mut config = settings();
        let data = captioned(&["sks dog, blue_eyes", "sks dog, grass"]);
        assert_eq!(found(&config, &data), []);
        config.lint.fixed_traits = vec!["Blue eyes".to_owned()];
        assert_eq!(
            found(&config, &data),
            [("fixed-trait-tagged", Some("0.png".to_owned()))]
        );
    }

    #[test]
    fn the_trigger_is_in_every_caption_and_stays_in_front() {
        let mut config = settings();
        assert_eq!(found(&config, &captioned(&["a photo of sks dog"])), []);
        assert_eq!(
            found(&config, &captioned(&["sks dog", "a dog"])),
            [("trigger-missing", None)]
        );
        config.dataset.caption.shuffle = true;
        let in_front = captioned(&["sks dog, grass"]);
        assert_eq!(found(&config, &in_front), [("trigger-not-kept", None)]);
        config.dataset.caption.keep_tokens = 1;
        assert_eq!(found(&config, &in_front), []);
        assert_eq!(
            found(&config, &captioned(&["grass, sks dog"])),
            [("trigger-not-kept", None)]
        );
    }

    #[test]
    fn words_count_as_they_are_shown() {
        let mut config = settings();
        assert_eq!(
            found(&config, &captioned(&["she asks dogma, grass"])),
            [("trigger-missing", None)]
        );
        let data = captioned(&["{red|blue} collar", "grass"]);
        config.dataset.caption.prefix = "sks dog,".to_owned();
        config.lint.fixed_traits = vec!["red collar".to_owned()];
        assert_eq!(found(&config, &data), []);
        config.dataset.caption.wildcards = true;
        let first = Some("0.png".to_owned());
        assert_eq!(found(&config, &data), [("fixed-trait-tagged", first)]);
        config.lint.fixed_traits.clear();
        config.output.trigger = "狗".to_owned();
        assert_eq!(found(&config, &captioned(&["一只狗在草地"])), []);
    }

    #[test]
    fn one_tag_has_one_spelling() {
        let data = captioned(&["sks dog, long_hair", "sks dog, Long hair"]);
        assert_eq!(found(&settings(), &data), [("similar-tags", None)]);
    }

    #[test]
    fn a_tag_of_all_captions_is_worth_knowing() {
        let data = |last| captioned(&["sks dog, hat, a", "sks dog, hat, b", "sks dog, hat", last]);
        assert_eq!(
            found(&settings(), &data("sks dog, hat")),
            [("constant-tag", None)]
        );
        assert_eq!(found(&settings(), &data("sks dog")), []);
    }
}
