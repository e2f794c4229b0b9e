//! What is odd about a dataset: rules over its pictures, captions and buckets, each a pure function.

mod buckets;
mod captions;
mod files;
mod finding;
mod pictures;
mod tags;

use lora_core::tokenizer::Tokenizer;
use lora_data::{CaptionConfig, Dataset, Entry};

pub(crate) use captions::LongestText;
pub use files::lint_files;
pub(crate) use files::tokenizer;
pub use finding::{Finding, Severity};

use crate::config::TrainConfig;

/// All rules by name, with what each looks for.
pub const RULES: [(&str, &str); 15] = [
    (
        "dataset",
        "settings, folders or files that keep the dataset from being opened",
    ),
    (
        "fixed-trait-tagged",
        "a tag of lint.fixed_traits is still in a caption",
    ),
    ("trigger-missing", "output.trigger is not in a caption"),
    (
        "trigger-not-kept",
        "tags are shuffled or dropped, and the trigger is not among the kept ones",
    ),
    (
        "caption-cut",
        "a caption has more tokens than model.max_tokens",
    ),
    (
        "caption-from-folder",
        "pictures that share the words of their folder's name",
    ),
    (
        "similar-tags",
        "tags that differ in capitals, underscores or spaces only",
    ),
    (
        "full-width-comma",
        "a caption with commas at which tags are not split",
    ),
    (
        "constant-tag",
        "a tag that all captions have beside the trigger",
    ),
    ("lonely-bucket", "a bucket with fewer pictures than a batch"),
    (
        "heavy-crop",
        "a picture that loses a large part to its bucket",
    ),
    ("enlarged", "a picture that is enlarged a good deal"),
    ("duplicate-picture", "two files of the same bytes"),
    ("few-pictures", "a dataset of very few pictures"),
    (
        "note",
        "what was inferred about folders, and files that are not used",
    ),
];

/// What the rules look at.
pub(crate) struct Subject<'a> {
    pub(crate) config: &'a TrainConfig,
    pub(crate) data: &'a dyn Dataset,
    pub(crate) tokenizer: &'a Tokenizer,
}

impl Subject<'_> {
    /// How the captions of a picture are drawn.
    pub(crate) fn rules(&self, entry: &Entry) -> &CaptionConfig {
        let subset = self.data.subsets().get(entry.subset);
        subset.map_or(&self.config.dataset.caption, |subset| &subset.caption)
    }

    /// Every text that a picture can be shown with, before its tags are shuffled or dropped.
    pub(crate) fn texts(&self, entry: &Entry) -> Vec<String> {
        self.rules(entry).possible(&entry.caption)
    }

    /// The pictures that are trained for themselves: regularisation pictures are left out.
    pub(crate) fn own(&self) -> impl Iterator<Item = &Entry> {
        let regularises = |entry: &&Entry| {
            let subset = self.data.subsets().get(entry.subset);
            subset.is_some_and(|subset| subset.regularisation)
        };
        self.data
            .entries()
            .iter()
            .filter(move |entry| !regularises(entry))
    }
}

/// Everything that the rules find, worst first.
pub fn lint(config: &TrainConfig, data: &dyn Dataset, tokenizer: &Tokenizer) -> Vec<Finding> {
    let subject = Subject {
        config,
        data,
        tokenizer,
    };
    let mut findings: Vec<Finding> = [
        tags::findings(&subject),
        captions::findings(&subject),
        buckets::findings(&subject),
        pictures::findings(&subject),
    ]
    .concat();
    settle(&mut findings, config);
    findings.sort();
    findings
}

/// Leaves out what is allowed, and makes errors of what is denied.
fn settle(findings: &mut Vec<Finding>, config: &TrainConfig) {
    let named = |rules: &[String], finding: &Finding| rules.iter().any(|rule| rule == finding.rule);
    findings.retain(|finding| !named(&config.lint.allow, finding));
    for finding in findings {
        if named(&config.lint.deny, finding) {
            finding.severity = Severity::Error;
        }
    }
}

/// Whether `words` stand in `text` as words of their own, both as [`plain`] gives them: `dog` is in `a dog` and not in
/// `dogma`. Writing without spaces has no such ends.
pub(crate) fn has_words(text: &str, words: &str) -> bool {
    let joins = |a: Option<char>, b: Option<char>| {
        let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        is_letter(a) && is_letter(b)
    };
    text.match_indices(words).any(|(at, found)| {
        let (before, after) = (&text[..at], &text[at + found.len()..]);
        !joins(before.chars().next_back(), words.chars().next())
            && !joins(words.chars().next_back(), after.chars().next())
    })
}

/// A tag without capitals, with single spaces for underscores and spaces.
pub(crate) fn plain(tag: &str) -> String {
    let words = tag.to_lowercase().replace('_', " ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::{example::*, *};

    #[test]
    fn words_have_ends() {
        for text in ["a dog", "dog, grass", "(dog)", "a dogma of a dog", "dog"] {
            assert!(has_words(text, "dog"), "{text}");
        }
        for text in ["dogma", "underdog", "dogs", "cat", ""] {
            assert!(!has_words(text, "dog"), "{text}");
        }
        assert!(has_words("一只狗在草地", "狗"));
    }

    #[test]
    fn rules_can_be_allowed_and_denied() {
        let data = captioned(&["sks dog，草地", "sks dog, 草地"]);
        let found = |allow: &[&str], deny: &[&str]| {
            let mut config = settings();
            let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
            (config.lint.allow, config.lint.deny) = (names(allow), names(deny));
            let findings = lint(&config, &data, &Tokenizer::clip());
            let mut found = findings.iter();
            let found = found.find(|finding| finding.rule == "full-width-comma");
            found.map(|finding| finding.severity)
        };
        assert_eq!(found(&[], &[]), Some(Severity::Warning));
        assert_eq!(found(&[], &["full-width-comma"]), Some(Severity::Error));
        assert_eq!(found(&[], &["enlarged"]), Some(Severity::Warning));
        assert_eq!(found(&["full-width-comma"], &["full-width-comma"]), None);
    }
}

#[cfg(test)]
pub(crate) mod example;
