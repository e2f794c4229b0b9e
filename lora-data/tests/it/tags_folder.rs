//! A folder of pictures with captions, and what tests of editing do with it.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use lora_data::tags::{
    Applied, CaptionOptions, CaptionSet, Edit, EditStep, Filter, Selection, TagEditor, TagsError,
};

use crate::folder::Folder;

/// Pictures named `0.png`, `1.png`, …; where there is no text, there is no caption file.
pub fn folder_of(texts: &[Option<&str>]) -> Folder {
    let folder = Folder::new();
    for (index, text) in texts.iter().enumerate() {
        folder.write(&format!("{index}.png"), "");
        if let Some(text) = text {
            folder.write(&format!("{index}.txt"), text);
        }
    }
    folder
}

pub fn editor(folder: &Folder) -> TagEditor {
    TagEditor::open(&folder.path(""), &CaptionOptions::default()).expect("it opens")
}

pub fn set(folder: &Folder) -> CaptionSet {
    CaptionSet::open(&folder.path(""), &CaptionOptions::default()).expect("it opens")
}

pub fn on(_: EditStep) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Letters count as tokens.
pub fn letters(text: &str) -> usize {
    text.chars().count()
}

pub fn selected(set: &CaptionSet, filter: &str) -> Selection {
    let filter: Filter = filter.parse().expect("a filter");
    set.select(&filter, &letters)
}

pub fn apply_all(editor: &mut TagEditor, edit: &Edit) -> Result<Option<Applied>, TagsError> {
    let changes = editor.set().changes(&Selection::all(editor.set()), edit)?;
    editor.apply(&changes, "an edit", &on)
}

/// Every file that a person sees, with its bytes.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path
                .strip_prefix(folder)
                .expect("below")
                .display()
                .to_string();
            if path.is_dir() {
                waiting.push(path);
            } else if !name.contains("/.") && !name.starts_with('.') {
                found.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    found
}

pub fn add(tags: &str) -> Edit {
    Edit::Add {
        tags: vec![tags.to_owned()],
        place: lora_data::tags::Place::Back,
        moved: false,
    }
}

pub fn remove(patterns: &str) -> Edit {
    Edit::Remove {
        patterns: lora_data::tagger::TagPattern::parse_list(patterns).expect("patterns"),
    }
}
