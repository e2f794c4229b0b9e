use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{
    ScoredTag, TagList, TagPattern, TagReplacement,
    tag_key::{spaced, tag_key},
};
use crate::caption::tags;

/// How tags are written, and which words come along.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TagWording {
    /// Tags that are never written.
    pub exclude: Vec<TagPattern>,
    /// Tags that are written as something else.
    pub replace: Vec<TagReplacement>,
    /// Words that come first in every caption, such as the trigger word.
    pub prepend: Vec<String>,
    /// Words that come last in every caption.
    pub append: Vec<String>,
    /// Whether `long_hair` stays so; otherwise it is written `long hair`, and only faces such as `^_^` stay.
    pub keep_underscores: bool,
    /// Whether brackets get a backslash, as A1111's prompts want them: `saber \(fate\)`.
    pub escape_brackets: bool,
}

impl TagWording {
    /// The tags as they are written, in the same order, each once.
    pub fn word(&self, selected: Vec<ScoredTag>) -> Vec<ScoredTag> {
        let mut seen = HashSet::new();
        let included = selected
            .into_iter()
            .filter(|tag| !self.exclude.iter().any(|one| one.matches(&tag.name)));
        included
            .flat_map(|tag| self.written(&tag))
            .filter(|tag| seen.insert(tag_key(&tag.name)))
            .collect()
    }

    /// The caption of a picture that has none: the words that come first, the tags, the words that come last.
    pub fn caption(&self, worded: &[ScoredTag]) -> String {
        let names = worded.iter().map(|tag| tag.name.as_str());
        let all: Vec<&str> = self.first().chain(names).chain(self.last()).collect();
        without(all, &mut HashSet::new()).join(", ")
    }

    /// The rules that touch none of the tagger's tags, and so may be misspelt, as they were given.
    pub fn idle_rules(&self, list: &TagList) -> Vec<String> {
        let names = || list.tags().iter().map(|tag| tag.name.as_str());
        let excludes = self.exclude.iter();
        let idle = excludes
            .filter(|pattern| !names().any(|name| pattern.matches(name)))
            .map(ToString::to_string);
        let replaces = self.replace.iter();
        let unknown = replaces
            .filter(|one| !names().any(|name| tag_key(name) == tag_key(&one.old)))
            .map(|one| one.old.clone());
        idle.chain(unknown).collect()
    }

    pub(super) fn first(&self) -> impl Iterator<Item = &str> {
        self.prepend.iter().flat_map(|words| tags(words))
    }

    pub(super) fn last(&self) -> impl Iterator<Item = &str> {
        self.append.iter().flat_map(|words| tags(words))
    }

    fn written(&self, tag: &ScoredTag) -> Vec<ScoredTag> {
        let key = tag_key(&tag.name);
        let replaced = self.replace.iter().find(|one| tag_key(&one.old) == key);
        let names = match replaced {
            Some(one) => tags(&one.new).map(str::to_owned).collect(),
            None => vec![self.spelt(&tag.name)],
        };
        let renamed = names.into_iter().map(|name| ScoredTag {
            name,
            ..tag.clone()
        });
        renamed.collect()
    }

    fn spelt(&self, name: &str) -> String {
        let name = if self.keep_underscores {
            name.to_owned()
        } else {
            spaced(name)
        };
        if self.escape_brackets {
            name.replace('(', "\\(").replace(')', "\\)")
        } else {
            name
        }
    }
}

/// Those of `names` whose keys are not in `seen`, each once; their keys are added.
pub(super) fn without<'a>(names: Vec<&'a str>, seen: &mut HashSet<String>) -> Vec<&'a str> {
    let is_new = |name: &&str| seen.insert(tag_key(name));
    names.into_iter().filter(is_new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tagger::Category;

    fn worded(wording: &TagWording, names: &[&str]) -> Vec<String> {
        let selected = names.iter().map(|name| ScoredTag {
            name: (*name).to_owned(),
            probability: 0.5,
            category: Category::General,
        });
        let worded = wording.word(selected.collect());
        worded.into_iter().map(|tag| tag.name).collect()
    }

    const NAMES: [&str; 4] = ["saber_(fate)", "long_hair", "^_^", "simple_background"];

    #[test]
    fn underscores_and_brackets() {
        let wording = TagWording::default();
        assert_eq!(
            worded(&wording, &NAMES),
            ["saber (fate)", "long hair", "^_^", "simple background"]
        );
        let a1111 = TagWording {
            escape_brackets: true,
            keep_underscores: true,
            ..TagWording::default()
        };
        assert_eq!(
            worded(&a1111, &NAMES),
            ["saber_\\(fate\\)", "long_hair", "^_^", "simple_background"]
        );
    }

    #[test]
    fn tags_are_left_out_replaced_and_written_once() {
        let wording = TagWording {
            exclude: TagPattern::parse_list("*_background").unwrap(),
            replace: vec![
                "long hair=hair, long".parse().unwrap(),
                "^_^=Long".parse().unwrap(),
            ],
            ..TagWording::default()
        };
        assert_eq!(worded(&wording, &NAMES), ["saber (fate)", "hair", "long"]);
    }

    #[test]
    fn the_trigger_word_comes_first_and_once() {
        let wording = TagWording {
            prepend: vec!["sks dog, long_hair".to_owned()],
            append: vec!["masterpiece".to_owned(), "sks dog".to_owned()],
            ..TagWording::default()
        };
        let tag = |name: &str| ScoredTag {
            name: name.to_owned(),
            probability: 0.5,
            category: Category::General,
        };
        assert_eq!(
            wording.caption(&[tag("grass"), tag("long hair"), tag("sky")]),
            "sks dog, long_hair, grass, sky, masterpiece"
        );
    }

    #[test]
    fn rules_that_touch_nothing_are_told() {
        let list = TagList::parse("tags.csv", b"cat\nlong_hair\n").unwrap();
        let wording = TagWording {
            exclude: TagPattern::parse_list("cat,dgo,*_hair").unwrap(),
            replace: vec!["lnog hair=x".parse().unwrap(), "Cat=y".parse().unwrap()],
            ..TagWording::default()
        };
        assert_eq!(wording.idle_rules(&list), ["dgo", "lnog hair"]);
    }
}
