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
    let most = subject.config.model.max_tokens;
    let long = subject.data.entries().iter().filter_map(|entry| {
        let tokens = most_tokens(subject.rules(entry), &entry.caption, subject.tokenizer);
        (tokens > most).then_some((entry, tokens))
    });
    long.map(|(entry, tokens)| {
        let message = format!(
            "caption has {tokens} tokens, the last {} are not used (model.max_tokens is {most}); shorten it, or set model.max_tokens to 150 or 225",
            tokens - most
        );
        Finding::new(Severity::Warning, "caption-cut", message).about(&entry.image)
    })
    .collect()
}

/// The tokens of the longest text that a caption can become.
pub(crate) fn most_tokens(rules: &CaptionConfig, caption: &str, tokenizer: &Tokenizer) -> usize {
    let texts = rules.possible(caption);
    let tokens = texts.iter().map(|text| tokenizer.count(text));
    tokens.max().unwrap_or(0)
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
    use crate::lint::example::{captioned, found, settings};

    #[test]
    fn long_captions_are_named() {
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
