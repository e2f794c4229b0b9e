//! The tags that a LoRA was trained on.

use std::{cmp::Reverse, collections::BTreeMap};

use serde::Serialize;

/// More than these are not told.
const MOST: usize = 12;

/// A tag and in how many captions it occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagCount {
    /// The tag.
    pub tag: String,
    /// Captions with it, of all folders together.
    pub count: u64,
}

/// The most frequent tags of `ss_tag_frequency`, the first most frequent; none where there is no such entry.
pub(super) fn most_frequent(metadata: &BTreeMap<String, String>) -> Vec<TagCount> {
    let folders: BTreeMap<String, BTreeMap<String, u64>> = metadata
        .get("ss_tag_frequency")
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let mut counts = BTreeMap::<String, u64>::new();
    for (tag, count) in folders.into_values().flatten() {
        // sd-scripts keeps the spaces between tags.
        *counts.entry(tag.trim().to_owned()).or_default() += count;
    }
    let mut tags: Vec<_> = counts
        .into_iter()
        .map(|(tag, count)| TagCount { tag, count })
        .collect();
    // Stable: tags of equal count stay in the order of the alphabet.
    tags.sort_by_key(|tag| Reverse(tag.count));
    tags.truncate(MOST);
    tags
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_of_all_folders_are_added_up() {
        let text = r#"{"10_dog": {"sks dog": 6, "grass": 2}, "5_more": {" grass": 5, "sky": 1}}"#;
        let metadata = BTreeMap::from([("ss_tag_frequency".to_owned(), text.to_owned())]);
        let tags: Vec<_> = most_frequent(&metadata)
            .into_iter()
            .map(|tag| (tag.tag, tag.count))
            .collect();
        let expected = [("grass", 7), ("sks dog", 6), ("sky", 1)];
        assert_eq!(tags, expected.map(|(tag, count)| (tag.to_owned(), count)));
        assert_eq!(most_frequent(&BTreeMap::new()), []);
    }
}
