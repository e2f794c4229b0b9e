//! What holds for any captions and any edits.

use lora_data::tags::{Edit, Place, Selection, SortOrder};
use proptest::prelude::*;

use crate::tags_folder::{apply_all, editor, files, folder_of, on};

/// Texts of caption files: any letters, byte order marks, line ends, blank lines.
fn texts() -> impl Strategy<Value = Vec<Option<String>>> {
    let piece = prop_oneof![
        Just("a".to_owned()),
        Just("long_hair".to_owned()),
        Just("Long hair".to_owned()),
        Just(", ".to_owned()),
        Just(",".to_owned()),
        Just("\n".to_owned()),
        Just("\r\n".to_owned()),
        Just("\u{feff}".to_owned()),
        Just(" ".to_owned()),
        Just("|||".to_owned()),
        Just("{a, b|c}".to_owned()),
        Just("\\(x\\)".to_owned()),
        "\\PC{1,3}",
    ];
    let text = prop::collection::vec(piece, 0..14).prop_map(|pieces| pieces.concat());
    prop::collection::vec(prop::option::weighted(0.9, text), 1..5)
}

fn edits() -> impl Strategy<Value = Edit> {
    let tag = prop_oneof![
        Just("a".to_owned()),
        Just("long hair".to_owned()),
        Just("new, b".to_owned())
    ];
    let place = prop_oneof![
        Just(Place::Front),
        Just(Place::Back),
        (1_usize..4).prop_map(Place::At)
    ];
    let order = prop_oneof![Just(SortOrder::Name), Just(SortOrder::Frequency)];
    prop_oneof![
        (tag.clone(), place, any::<bool>()).prop_map(|(tag, place, moved)| Edit::Add {
            tags: vec![tag],
            place,
            moved
        }),
        tag.clone().prop_map(|tag| Edit::Remove {
            patterns: lora_data::tagger::TagPattern::parse_list(&tag).expect("patterns")
        }),
        Just(Edit::Remove {
            patterns: vec!["/./".parse().expect("a pattern")]
        }),
        tag.clone().prop_map(|new| Edit::Replace {
            old: "a".parse().expect("a pattern"),
            new
        }),
        Just(Edit::Rename {
            old: "long hair".to_owned(),
            new: "a".to_owned()
        }),
        (order, 0_usize..3).prop_map(|(by, keep)| Edit::Sort { by, keep }),
        any::<bool>().prop_map(|variants| Edit::Dedupe { variants }),
        tag.prop_map(Edit::SetCaption),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Undoing restores every byte and every absence, redoing too; an edit that is refused changes nothing.
    #[test]
    fn undo_and_redo_restore_every_byte(texts in texts(), edits in prop::collection::vec(edits(), 1..4)) {
        let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        let folder = folder_of(&texts);
        let root = folder.path("");
        let mut editor = editor(&folder);
        let mut states = vec![files(&root)];
        for edit in &edits {
            let changes = matches!(apply_all(&mut editor, edit), Ok(Some(_)));
            let state = files(&root);
            prop_assert_eq!(&state != states.last().expect("a state"), changes);
            if changes {
                states.push(state);
            }
        }
        for state in states.iter().rev().skip(1) {
            editor.undo(false, &on).expect("undone");
            prop_assert_eq!(&files(&root), state);
        }
        prop_assert!(editor.undo(false, &on).is_err());
        for state in states.iter().skip(1) {
            editor.redo(false, &on).expect("redone");
            prop_assert_eq!(&files(&root), state);
        }
        prop_assert!(editor.redo(false, &on).is_err());
        // Opened anew, it knows the same.
        drop(editor);
        let mut editor = crate::tags_folder::editor(&folder);
        for state in states.iter().rev().skip(1) {
            editor.undo(false, &on).expect("undone");
            prop_assert_eq!(&files(&root), state);
        }
    }

    /// What has been read and is written again unedited is the same: adding a tag and taking it out changes no byte of a
    /// caption that has tags.
    #[test]
    fn what_an_edit_does_not_touch_stays(texts in texts()) {
        let texts: Vec<Option<&str>> = texts.iter().map(Option::as_deref).collect();
        let folder = folder_of(&texts);
        let mut editor = editor(&folder);
        let nothing = Edit::Remove { patterns: vec!["no such tag".parse().expect("a pattern")] };
        let all = Selection::all(editor.set());
        prop_assert!(editor.set().changes(&all, &nothing).expect("changes").is_empty());
        let tags = |editor: &lora_data::tags::TagEditor| -> Vec<Vec<String>> {
            let captions = editor.set().captions().iter();
            captions.map(|one| one.tags().map(str::to_owned).collect()).collect()
        };
        let before = files(&folder.path(""));
        let had = tags(&editor);
        let added = Edit::Add { tags: vec!["zzz".to_owned()], place: Place::Front, moved: false };
        if apply_all(&mut editor, &added).is_err() {
            return Ok(());
        }
        let expected: Vec<Vec<String>> = had
            .iter()
            .map(|tags| [vec!["zzz".to_owned()], tags.clone()].concat())
            .collect();
        prop_assert_eq!(tags(&editor), expected);
        let removed = Edit::Remove { patterns: vec!["zzz".parse().expect("a pattern")] };
        if apply_all(&mut editor, &removed).is_err() {
            return Ok(());
        }
        let after = files(&folder.path(""));
        for (index, tags) in had.iter().enumerate().filter(|(_, tags)| !tags.is_empty()) {
            let name = format!("{index}.txt");
            prop_assert_eq!(after.get(&name), before.get(&name), "{:?}", tags);
        }
    }
}
