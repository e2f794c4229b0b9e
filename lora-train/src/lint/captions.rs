use std::collections::BTreeMap;

use lora_core::tokenizer::Tokenizer;
use lora_data::CaptionConfig;

use super::{Finding, Severity, Subject};

pub(super) fn findings(subject: &Subject<'_>) -> Vec<Finding> {
    let mut findings = cut(subject);
    findings.extend(full_width_commas(subject));
    findings.extend(from_folder(subject));
    findings
}

fn cut(subject: &Subject<'_>) -> Vec<Finding> {
    let (most, tokenizer) = (subject.config.model.max_tokens, subject.tokenizer);
    let long = subject.data.entries().iter().filter_map(|entry| {
        let longest = LongestText::of(subject.rules(entry), &entry.caption, tokenizer);
        (longest.tokens > most).then_some((entry, longest))
    });
    long.map(|(entry, longest)| {
        let message = format!(
            "caption has {} tokens, `{}` is not used (model.max_tokens is {most}); shorten it, or set model.max_tokens to 150 or 225",
            longest.tokens,
            longest.cut_words(most, tokenizer)
        );
        Finding::new(Severity::Warning, "caption-cut", message).about(&entry.image)
    })
    .collect()
}

/// The text of most tokens that a caption can become.
pub(crate) struct LongestText {
    text: String,
    /// Its tokens.
    pub(crate) tokens: usize,
}

impl LongestText {
    pub(crate) fn of(rules: &CaptionConfig, caption: &str, tokenizer: &Tokenizer) -> Self {
        let texts = rules.possible(caption).into_iter().map(|text| Self {
            tokens: tokenizer.count(&text),
            text,
        });
        // Of several, the first.
        let longest = texts.reduce(|longest, other| {
            if other.tokens > longest.tokens {
                other
            } else {
                longest
            }
        });
        longest.unwrap_or(Self {
            text: String::new(),
            tokens: 0,
        })
    }

    /// The words at its end of which not all tokens are among the first `most`.
    pub(crate) fn cut_words(&self, most: usize, tokenizer: &Tokenizer) -> &str {
        let text = self.text.as_str();
        if self.tokens <= most {
            return "";
        }
        let is_end = |&(at, _): &(usize, char)| {
            let rest = &text[at..];
            rest.starts_with(|c: char| c.is_whitespace() || c == ',')
        };
        let ends: Vec<usize> = text
            .char_indices()
            .filter(is_end)
            .map(|(at, _)| at)
            .collect();
        // More text never has fewer tokens.
        let fitting = ends.partition_point(|&end| tokenizer.count(&text[..end]) <= most);
        let end = fitting.checked_sub(1).map_or(0, |last| ends[last]);
        text[end..].trim_matches(|c: char| c.is_whitespace() || c == ',')
    }
}

fn full_width_commas(subject: &Subject<'_>) -> Vec<Finding> {
    let entries = subject.data.entries().iter();
    let with = entries.filter(|entry| entry.caption.contains(['，', '、']));
    with.map(|entry| {
        let message =
            "caption has full-width commas (， or 、), at which tags are not split; use `,`";
        Finding::new(Severity::Warning, "full-width-comma", message).about(&entry.image)
    })
    .collect()
}

/// Folders whose pictures are all trained with the same words.
fn from_folder(subject: &Subject<'_>) -> Vec<Finding> {
    let mut folders: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for entry in subject.own() {
        folders
            .entry(&entry.folder)
            .or_default()
            .push(&entry.caption);
    }
    let shared = folders.into_iter().filter(|(_, captions)| {
        captions.len() > 1 && captions.iter().all(|caption| *caption == captions[0])
    });
    shared
        .map(|(folder, captions)| {
            let message = format!(
                "the {} pictures of {folder} are all trained with `{}`: captions of their own keep backgrounds and poses out of the trigger word",
                captions.len(),
                captions[0]
            );
            Finding::new(Severity::Info, "caption-from-folder", message)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lint::example::{captioned, found, settings};

    #[test]
    fn long_captions_are_named() {
        let of_tokens = |count: usize| "dog ".repeat(count);
        let rules = |caption: &str| found(&settings(), &captioned(&[caption]));
        assert!(
            !rules(&of_tokens(75))
                .iter()
                .any(|(rule, _)| *rule == "caption-cut")
        );
        assert!(
            rules(&of_tokens(76))
                .iter()
                .any(|(rule, _)| *rule == "caption-cut")
        );
        let long = format!("sks dog, {}", "tree, ".repeat(40));
        let mut config = settings();
        let data = captioned(&[&long, "sks dog, short"]);
        assert_eq!(
            found(&config, &data),
            [("caption-cut", Some("0.png".to_owned()))]
        );
        config.model.max_tokens = 150;
        assert_eq!(found(&config, &data), []);
        config.dataset.caption.suffix = "bush, ".repeat(80);
        assert_eq!(found(&config, &data).len(), 2);
    }

    #[test]
    fn the_words_that_are_cut_off_are_told() {
        let tokenizer = Tokenizer::clip();
        let cut = |text: &str, most: usize| {
            let longest = LongestText::of(&CaptionConfig::default(), text, &tokenizer);
            longest.cut_words(most, &tokenizer).to_owned()
        };
        let text = "a dog, green grass, blue sky";
        // Each word and each comma is a token.
        for (most, expected) in [
            (8, ""),
            (7, "sky"),
            (6, "blue sky"),
            (5, "blue sky"),
            (4, "grass, blue sky"),
            (0, text),
        ] {
            assert_eq!(cut(text, most), expected, "{most}");
        }
        assert_eq!(cut("one", 0), "one");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn full_width_commas_are_named() {
        let data = captioned(&["sks dog，草地", "sks dog, 草地"]);
        assert_eq!(
            found(&settings(), &data),
            [("full-width-comma", Some("0.png".to_owned()))]
        );
    }

    #[test]
    fn words_that_all_pictures_share_are_worth_knowing() {
        assert_eq!(
            found(&settings(), &captioned(&["sks dog", "sks dog"])),
            [("caption-from-folder", None)]
        );
        assert_eq!(found(&settings(), &captioned(&["sks dog"])), []);
    }
}
