use std::collections::BTreeMap;

use serde::Serialize;

use crate::{Entry, caption::tags};

/// One folder of a dataset, as saved files tell of it under `ss_dataset_dirs`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DatasetDir {
    /// How often an epoch shows each picture.
    pub n_repeats: u32,
    /// The number of pictures.
    pub img_count: usize,
}

/// The folders and their sizes, by name: the value of `ss_dataset_dirs` once written as JSON.
///
/// Folders of the same name are one entry, with the pictures of all and the repeats of the first, for the key is kohya's.
pub fn dataset_dirs(entries: &[Entry]) -> BTreeMap<String, DatasetDir> {
    let mut dirs = BTreeMap::new();
    for entry in entries {
        let dir = dirs.entry(entry.folder.clone()).or_insert(DatasetDir {
            n_repeats: entry.repeats,
            img_count: 0,
        });
        dir.img_count += 1;
    }
    dirs
}

/// How many captions of each folder have each tag: the value of `ss_tag_frequency` once written as JSON.
///
/// Tags are counted in lower case and once per picture, repeats aside, as kohya counts them.
pub fn tag_frequency(entries: &[Entry]) -> BTreeMap<String, BTreeMap<String, usize>> {
    let mut folders: BTreeMap<String, BTreeMap<String, usize>> = BTreeMap::new();
    for entry in entries {
        let counts = folders.entry(entry.folder.clone()).or_default();
        for tag in tags(&entry.caption) {
            *counts.entry(tag.to_lowercase()).or_default() += 1;
        }
    }
    folders
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Resolution;

    #[test]
    fn folders_are_described_as_kohya_does() {
        let entries = [
            entry("10_sks dog", 10, "sks dog, Grass"),
            entry("10_sks dog", 10, "sks dog,grass , sky,"),
            entry("style", 1, ""),
        ];
        assert_eq!(
            serde_json::to_value(dataset_dirs(&entries)).unwrap(),
            json!({"10_sks dog": {"n_repeats": 10, "img_count": 2}, "style": {"n_repeats": 1, "img_count": 1}})
        );
        assert_eq!(
            serde_json::to_value(tag_frequency(&entries)).unwrap(),
            json!({"10_sks dog": {"sks dog": 2, "grass": 2, "sky": 1}, "style": {}})
        );
    }

    fn entry(folder: &str, repeats: u32, caption: &str) -> Entry {
        Entry {
            image: "a.png".into(),
            caption: caption.into(),
            folder: folder.into(),
            repeats,
            size: (1, 1),
            target: Resolution::default(),
            subset: 0,
        }
    }
}
