use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{ScoredTag, TagWording, tag_key::tag_key, tag_wording::without};
use crate::caption::tags;

/// What becomes of captions that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CaptionMode {
    /// They stay, and their pictures are passed over.
    #[default]
    Skip,
    /// The tags replace them.
    Overwrite,
    /// Tags that they do not have yet come after theirs.
    Append,
    /// Tags that they do not have yet come before theirs, behind the words that come first.
    Prepend,
}

impl CaptionMode {
    /// The caption to be written where `existing` stands. The words that come first are moved to the front.
    ///
    /// What nothing is added to stays letter for letter.
    pub(super) fn merged(
        self,
        existing: &str,
        worded: &[ScoredTag],
        wording: &TagWording,
    ) -> String {
        if self == Self::Overwrite || tags(existing).next().is_none() {
            return wording.caption(worded);
        }
        let first: Vec<&str> = without(wording.first().collect(), &mut HashSet::new());
        let old: Vec<&str> = tags(existing).collect();
        let mut seen: HashSet<String> = first.iter().chain(&old).map(|tag| tag_key(tag)).collect();
        let names = worded.iter().map(|tag| tag.name.as_str());
        let new = without(names.collect(), &mut seen);
        let last = without(wording.last().collect(), &mut seen);
        let is_in_front = first.len() <= old.len()
            && first
                .iter()
                .zip(&old)
                .all(|(one, other)| tag_key(one) == tag_key(other));
        let goes_between = self == Self::Prepend && !new.is_empty() && !first.is_empty();
        let (front, kept) = if is_in_front && !goes_between {
            (Vec::new(), without_last_comma(existing).to_owned())
        } else {
            let keys: HashSet<String> = first.iter().map(|tag| tag_key(tag)).collect();
            (first, rest(existing, &old, &keys))
        };
        if front.is_empty() && new.is_empty() && last.is_empty() {
            return existing.to_owned();
        }
        let (before, after) = match self {
            Self::Prepend => (new, Vec::new()),
            _ => (Vec::new(), new),
        };
        let kept = (!kept.is_empty()).then_some(kept.as_str());
        let parts = front
            .into_iter()
            .chain(before)
            .chain(kept)
            .chain(after)
            .chain(last);
        parts.collect::<Vec<_>>().join(", ")
    }
}

/// The existing caption without the tags of `keys`: as it was written, if it has none of them.
fn rest(existing: &str, old: &[&str], keys: &HashSet<String>) -> String {
    let others: Vec<&str> = old
        .iter()
        .copied()
        .filter(|tag| !keys.contains(&tag_key(tag)))
        .collect();
    if others.len() == old.len() {
        without_last_comma(existing).to_owned()
    } else {
        others.join(", ")
    }
}

fn without_last_comma(caption: &str) -> &str {
    caption.trim_end_matches(|c: char| c == ',' || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::tagger::Category;

    fn tag(name: &str) -> ScoredTag {
        ScoredTag {
            name: name.to_owned(),
            probability: 0.5,
            category: Category::General,
        }
    }

    fn merged(mode: CaptionMode, existing: &str, first: &str, new: &[&str]) -> String {
        let wording = TagWording {
            prepend: vec![first.to_owned()],
            ..TagWording::default()
        };
        let worded: Vec<ScoredTag> = new.iter().map(|name| tag(name)).collect();
        mode.merged(existing, &worded, &wording)
    }

    #[test]
    fn what_is_there_stays_as_written_and_new_tags_are_added_once() {
        use CaptionMode::{Append, Overwrite, Prepend};
        for (mode, existing, first, expected) in [
            (Append, "a dog ,Grass", "", "a dog ,Grass, sky"),
            (Append, "a dog, grass,", "", "a dog, grass, sky"),
            (Prepend, "a dog ,grass", "", "sky, a dog ,grass"),
            (Overwrite, "a dog ,grass", "", "grass, sky"),
            (Append, "", "", "grass, sky"),
            (Append, "a dog ,grass", "sks", "sks, a dog ,grass, sky"),
            (Append, "grass,sks,a dog", "sks", "sks, grass, a dog, sky"),
            (Append, "sks,grass", "sks", "sks,grass, sky"),
            (Prepend, "sks,grass", "sks", "sks, sky, grass"),
            (Prepend, "grass", "sks", "sks, sky, grass"),
            (
                Append,
                "sks,a dog",
                "sks dog",
                "sks dog, sks,a dog, grass, sky",
            ),
            (Overwrite, "x", "sks", "sks, grass, sky"),
        ] {
            let caption = merged(mode, existing, first, &["grass", "sky"]);
            assert_eq!(caption, expected, "{mode:?} {existing:?} {first:?}");
        }
    }

    #[test]
    fn what_has_all_stays_letter_for_letter() {
        for mode in [CaptionMode::Append, CaptionMode::Prepend] {
            for existing in ["sks,  Long_Hair ,sky,", "sks, sky,long hair"] {
                assert_eq!(
                    merged(mode, existing, "sks", &["long hair", "sky"]),
                    existing
                );
            }
        }
    }

    proptest! {
        #[test]
        fn a_second_time_changes_nothing(
            existing in proptest::collection::vec("[a-f ]{0,3}", 0..5),
            first in proptest::collection::vec("[a-f]{1,2}", 0..3),
            last in proptest::collection::vec("[a-f]{1,2}", 0..3),
            new in proptest::collection::vec("[a-f]{1,2}", 0..5),
            mode in prop_oneof![
                Just(CaptionMode::Append), Just(CaptionMode::Prepend), Just(CaptionMode::Overwrite)
            ],
        ) {
            let wording = TagWording {
                prepend: first.clone(),
                append: last,
                ..TagWording::default()
            };
            let worded: Vec<ScoredTag> = new.iter().map(|name| tag(name)).collect();
            let existing = existing.join(",");
            let once = mode.merged(&existing, &worded, &wording);
            prop_assert_eq!(&mode.merged(&once, &worded, &wording), &once);

            let keys: Vec<String> = tags(&once).map(tag_key).collect();
            for name in &new {
                prop_assert!(keys.contains(&tag_key(name)), "{} in {}", name, once);
            }
            if let Some(trigger) = first.first() {
                prop_assert_eq!(keys.first(), Some(&tag_key(trigger)));
            }
            if mode != CaptionMode::Overwrite {
                for old in tags(&existing) {
                    prop_assert!(keys.contains(&tag_key(old)), "{} in {}", old, once);
                }
            }
        }
    }
}
