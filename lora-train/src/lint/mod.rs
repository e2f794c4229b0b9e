//! What is odd about a dataset: rules over its pictures, captions and buckets, each a pure function.

mod buckets;
mod captions;
mod files;
mod finding;
mod pictures;
mod tags;

use lora_core::tokenizer::Tokenizer;
use lora_data::{Dataset, Entry};

pub use files::lint_files;
pub(crate) use files::tokenizer;
pub use finding::{Finding, Severity};

use crate::config::TrainConfig;

/// All rules by name, with what each looks for.
pub const RULES: [(&str, &str); 14] = [
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
    ("duplicate-picture", "two pictures of the same bytes"),
    ("few-pictures", "a dataset of very few pictures"),
];

/// What the rules look at.
pub(crate) struct Subject<'a> {
    pub(crate) config: &'a TrainConfig,
    pub(crate) data: &'a dyn Dataset,
    pub(crate) tokenizer: &'a Tokenizer,
}

impl Subject<'_> {
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
    findings.retain(|finding| !config.lint.allow.iter().any(|rule| rule == finding.rule));
    findings.sort();
    findings
}

/// The tags of a caption as people compare them: no capitals, spaces for underscores.
pub(crate) fn plain_tags(caption: &str) -> impl Iterator<Item = (String, &str)> {
    let tags = caption.split([',', '\n']).map(str::trim);
    tags.filter(|tag| !tag.is_empty())
        .map(|tag| (plain(tag), tag))
}

/// A tag without capitals, with single spaces for underscores and spaces.
pub(crate) fn plain(tag: &str) -> String {
    let words = tag.to_lowercase().replace('_', " ");
    words.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
pub(crate) mod example;
