//! The journal: edits are whole or not at all, whatever happens, and what others wrote is never lost.

use std::{
    fs,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::atomic::{AtomicUsize, Ordering},
};

use lora_data::tags::{
    CaptionOptions, CaptionSet, Changes, Edit, EditStep, Selection, TagEditor, TagsError, history,
};

use crate::{
    folder::Folder,
    tags_folder::{add, apply_all, editor, files, folder_of, on, remove, set},
};

const TEXTS: [Option<&str>; 5] = [
    Some("a, b\r\n"),
    None,
    Some("\u{feff}c"),
    Some("x"),
    Some("b, a\nsecond"),
];

fn changes(editor: &TagEditor, edit: &Edit) -> Changes {
    editor
        .set()
        .changes(&Selection::all(editor.set()), edit)
        .expect("changes")
}

fn journal(folder: &Folder) -> PathBuf {
    folder.path(".lora-tags.journal")
}

/// An observer that panics at the step with this number, as a program does that crashes there.
fn crash_at(step: usize) -> impl Fn(EditStep) -> ControlFlow<()> + Sync {
    let steps = AtomicUsize::new(0);
    move |_| {
        assert!(steps.fetch_add(1, Ordering::Relaxed) != step, "crash");
        ControlFlow::Continue(())
    }
}

/// Runs `act` with a crash at each of its steps. Afterwards the folder must be as before or as afterwards, and be of use.
fn crash_everywhere(
    prepare: impl Fn(&mut TagEditor),
    act: impl Fn(&mut TagEditor, &(dyn Fn(EditStep) -> ControlFlow<()> + Sync)),
) {
    let whole = folder_of(&TEXTS);
    let mut whole_editor = editor(&whole);
    prepare(&mut whole_editor);
    let before = files(&whole.path(""));
    let steps = AtomicUsize::new(0);
    act(&mut whole_editor, &|_| {
        steps.fetch_add(1, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    let after = files(&whole.path(""));
    assert_ne!(before, after);
    let steps = steps.into_inner();
    assert!(steps > 5, "{steps}");
    for step in 0..steps {
        let folder = folder_of(&TEXTS);
        let root = folder.path("");
        let mut crashing = editor(&folder);
        prepare(&mut crashing);
        let start = crashing.history().len();
        let crash = crash_at(step);
        let crashed = catch_unwind(AssertUnwindSafe(|| act(&mut crashing, &crash)));
        assert!(crashed.is_err());
        drop(crashing);
        let is_finished = step + 1 == steps;
        // Reading mends it just as well.
        let notes = if step % 2 == 0 {
            set(&folder).notes().to_vec()
        } else {
            editor(&folder).set().notes().to_vec()
        };
        let expected = if is_finished { &after } else { &before };
        assert_eq!(&files(&root), expected, "step {step}");
        let told = notes
            .iter()
            .any(|note| note.contains("was cut off and has been taken back"));
        assert_eq!(told, !is_finished, "{notes:?}");
        let mut again = editor(&folder);
        if !is_finished {
            assert_eq!(again.history().len(), start);
            act(&mut again, &on);
            assert_eq!(files(&root), after);
        }
        while again.undo(false, &on).is_ok() {}
        assert_eq!(
            files(&root),
            files(&folder_of(&TEXTS).path("")),
            "step {step}"
        );
        while again.redo(false, &on).is_ok() {}
    }
}

#[test]
fn a_crash_at_any_step_leaves_all_captions_as_before_or_as_afterwards() {
    let edit = |editor: &mut TagEditor, on_step: &(dyn Fn(EditStep) -> ControlFlow<()> + Sync)| {
        let changes = changes(editor, &add("new"));
        editor.apply(&changes, "add new", on_step).expect("applied");
    };
    crash_everywhere(|_| {}, edit);
    crash_everywhere(
        |editor| edit(editor, &on),
        |editor, on_step| {
            editor.undo(false, on_step).expect("undone");
        },
    );
    crash_everywhere(
        |editor| {
            edit(editor, &on);
            editor.undo(false, &on).expect("undone");
        },
        |editor, on_step| {
            editor.redo(false, on_step).expect("redone");
        },
    );
}

/// The journal's last lines cut at every byte: before the captions are written, as after a crash while it was written; and
/// afterwards, when only the end is missing.
#[test]
fn a_journal_that_was_cut_off_is_followed_as_far_as_it_is_whole() {
    let folder = folder_of(&TEXTS);
    let root = folder.path("");
    let mut first = editor(&folder);
    apply_all(&mut first, &add("one")).unwrap();
    let (before, short) = (files(&root), fs::read(journal(&folder)).unwrap());
    apply_all(&mut first, &add("two")).unwrap();
    drop(first);
    let (after, long) = (files(&root), fs::read(journal(&folder)).unwrap());
    let end = long[..long.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .unwrap()
        + 1;
    for cut in short.len()..=long.len() {
        let captions = if cut < end { &before } else { &after };
        for (name, bytes) in captions {
            folder.write(name, bytes);
        }
        for tail in [&b""[..], b"\0\0\0", b"\0\0\n"] {
            if cut == long.len()
                || (cut == end && tail.is_empty())
                || cut == short.len()
                || tail.is_empty()
            {
                fs::write(journal(&folder), [&long[..cut], tail].concat()).unwrap();
                for (name, bytes) in captions {
                    folder.write(name, bytes);
                }
                let mut editor = editor(&folder);
                let expected = if cut == long.len() { &after } else { &before };
                assert_eq!(&files(&root), expected, "cut at {cut} of {}", long.len());
                let edits = if cut == long.len() { 2 } else { 1 };
                assert_eq!(editor.history().len(), edits);
                apply_all(&mut editor, &add("three")).unwrap();
                drop(editor);
                assert_eq!(history(&root).unwrap().len(), edits + 1);
            }
        }
    }
}

#[test]
fn a_journal_that_cannot_be_followed_is_an_error_with_its_line() {
    let folder = folder_of(&TEXTS);
    apply_all(&mut editor(&folder), &add("one")).unwrap();
    let good = fs::read_to_string(journal(&folder)).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let (format, begin, end) = (lines[0], lines[1], lines[2]);
    for (text, expected) in [
        (
            format!("{format}\nnonsense\n{begin}\n{end}\n"),
            "line 2: cannot be read",
        ),
        ("nonsense\n".to_owned(), "line 1: cannot be read"),
        ("{\"format\":2}\n".to_owned(), "line 1: is of format 2"),
        (
            format!("{format}\n{end}\n{end}\n"),
            "line 2: ends an edit that has not begun",
        ),
        (
            format!("{format}\n{begin}\n{begin}\n{end}\n"),
            "line 3: an edit begins before",
        ),
        (
            format!(
                "{good}{}\n{end}\n",
                begin.replace("\"edit\"", "{\"undo\":7}")
            ),
            "line 4: undoes or redoes another",
        ),
    ] {
        fs::write(journal(&folder), &text).unwrap();
        let before = files(&folder.path(""));
        for error in [
            TagEditor::open(&folder.path(""), &CaptionOptions::default())
                .map(|_| ())
                .unwrap_err(),
            CaptionSet::open(&folder.path(""), &CaptionOptions::default())
                .map(|_| ())
                .unwrap_err(),
        ] {
            assert!(error.to_string().contains(expected), "{error}: {expected}");
        }
        assert_eq!(files(&folder.path("")), before);
        assert_eq!(fs::read_to_string(journal(&folder)).unwrap(), text);
    }
}

/// A dataset from elsewhere may bring a journal.
#[test]
fn a_journal_cannot_reach_outside_its_folder() {
    let place = Folder::new();
    place
        .write("victim.txt", "mine")
        .write("set/a.png", "")
        .write("set/.hidden.txt", "mine");
    let outside = place.path("victim.txt").display().to_string();
    for path in [
        "../victim.txt",
        &outside,
        "x/../../victim.txt",
        ".hidden.txt",
        "",
        ".",
    ] {
        let change = serde_json::json!({"path": path, "before": "evil", "after": "mine"});
        let begin = serde_json::json!({"begin": {"id": 1, "act": "edit", "time": 0, "command": "x", "files": [change]}});
        let text = format!("{{\"format\":1}}\n{begin}\n");
        place.write("set/.lora-tags.journal", &text);
        assert!(
            TagEditor::open(&place.path("set"), &CaptionOptions::default()).is_err(),
            "{path}"
        );
        let end = serde_json::json!({"end": {"id": 1, "outcome": "done"}});
        place.write("set/.lora-tags.journal", format!("{text}{end}\n"));
        let mut editor = TagEditor::open(&place.path("set"), &CaptionOptions::default()).unwrap();
        assert!(editor.undo(false, &on).is_err(), "{path}");
        assert!(editor.undo(true, &on).is_err(), "{path}");
        assert_eq!(fs::read(place.path("victim.txt")).unwrap(), b"mine");
        assert_eq!(fs::read(place.path("set/.hidden.txt")).unwrap(), b"mine");
    }
}

#[test]
fn a_folder_has_one_editor_at_a_time() {
    let folder = folder_of(&TEXTS);
    let first = editor(&folder);
    let error = TagEditor::open(&folder.path(""), &CaptionOptions::default()).unwrap_err();
    assert!(
        matches!(error, TagsError::Locked { by: Some(_), .. }),
        "{error:?}"
    );
    assert!(
        error
            .to_string()
            .contains("is being edited by another program (process ")
    );
    assert_eq!(set(&folder).captions().len(), 5);
    drop(first);
    editor(&folder);
}

#[test]
fn a_reader_beside_an_unfinished_edit_is_told() {
    let folder = folder_of(&TEXTS);
    let mut first = editor(&folder);
    let changes = changes(&first, &add("new"));
    first
        .apply(&changes, "add new", &|step| {
            if matches!(step, EditStep::Written { done: 2, .. }) {
                let reader = set(&folder);
                let notes = reader.notes().join("\n");
                assert!(
                    notes.contains("is being edited by another program just now"),
                    "{notes}"
                );
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(set(&folder).notes().is_empty());
}

#[test]
fn an_edit_that_is_stopped_or_fails_is_taken_back() {
    let folder = folder_of(&TEXTS);
    let before = files(&folder.path(""));
    let mut editor = editor(&folder);
    let changes = changes(&editor, &add("new"));
    for stop in [EditStep::Recorded, EditStep::Written { done: 3, total: 5 }] {
        let stopped = editor.apply(&changes, "add new", &|step| {
            if step == stop {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(stopped, Err(TagsError::Stopped)));
        assert_eq!(files(&folder.path("")), before);
    }
    // A caption that cannot be written: a folder has taken its place, after the third was written.
    let failed = editor.apply(&changes, "add new", &|step| {
        if matches!(step, EditStep::Written { done: 3, .. }) {
            fs::remove_file(folder.path("3.txt")).expect("removed");
            fs::create_dir(folder.path("3.txt")).expect("made");
        }
        ControlFlow::Continue(())
    });
    assert!(failed.unwrap_err().to_string().contains("3.txt"));
    fs::remove_dir(folder.path("3.txt")).unwrap();
    folder.write("3.txt", "x");
    assert_eq!(files(&folder.path("")), before);
    assert!(editor.history().is_empty());
    editor
        .apply(&changes, "add new", &on)
        .unwrap()
        .expect("a change");
}

#[test]
fn what_another_program_wrote_is_noticed() {
    let folder = folder_of(&TEXTS);
    let mut editor = editor(&folder);
    let stale = changes(&editor, &add("new"));
    folder.write("0.txt", "by hand");
    let error = editor.apply(&stale, "add new", &on).unwrap_err();
    assert!(
        folder
            .relative(&error.to_string())
            .ends_with("so nothing was done: 0.txt"),
        "{error}"
    );
    assert!(editor.history().is_empty());

    drop(editor);
    let mut editor = crate::tags_folder::editor(&folder);
    apply_all(&mut editor, &remove("x, by hand")).unwrap();
    apply_all(&mut editor, &add("new")).unwrap();
    let edited = files(&folder.path(""));
    folder.write("0.txt", "by hand again");
    fs::remove_file(folder.path("1.txt")).unwrap();
    let by_hand = files(&folder.path(""));
    let error = editor.undo(false, &on).unwrap_err();
    assert!(
        matches!(&error, TagsError::Changed { paths } if paths.len() == 2),
        "{error}"
    );
    assert_eq!(files(&folder.path("")), by_hand);

    // By force it is undone, and redoing brings back what was written by hand.
    editor.undo(true, &on).unwrap();
    assert_eq!(fs::read(folder.path("0.txt")).unwrap(), b"");
    assert!(!folder.path("1.txt").exists());
    editor.redo(false, &on).unwrap();
    assert_eq!(files(&folder.path("")), by_hand);
    assert_ne!(by_hand, edited);
}

/// What was changed between a crash and the next editor stays.
#[test]
fn what_was_written_after_a_crash_is_not_taken_back() {
    let folder = folder_of(&TEXTS);
    let mut crashing = editor(&folder);
    let changes = changes(&crashing, &add("new"));
    let crash = crash_at(3);
    let crashed = catch_unwind(AssertUnwindSafe(|| {
        crashing.apply(&changes, "add new", &crash)
    }));
    assert!(crashed.is_err());
    drop(crashing);
    folder.write("0.txt", "by hand");
    let editor = editor(&folder);
    assert_eq!(fs::read(folder.path("0.txt")).unwrap(), b"by hand");
    assert!(!folder.path("1.txt").exists());
    let notes = editor.set().notes().join("\n");
    assert!(
        folder.relative(&notes).ends_with("stay as they are: 0.txt"),
        "{notes}"
    );
}

#[test]
fn history_tells_what_was_done_and_can_be_forgotten() {
    let folder = folder_of(&TEXTS);
    let mut editor = editor(&folder);
    assert!(matches!(
        editor.undo(false, &on),
        Err(TagsError::NothingToUndo { .. })
    ));
    assert!(matches!(
        editor.redo(false, &on),
        Err(TagsError::NothingToRedo { .. })
    ));
    for (tags, command) in [
        ("one", "add one"),
        ("two", "add two"),
        ("three", "add three"),
    ] {
        let changes = changes(&editor, &add(tags));
        editor.apply(&changes, command, &on).unwrap();
    }
    editor.undo(false, &on).unwrap();
    assert_eq!(editor.undo(false, &on).unwrap().command, "add two");
    let entries: Vec<(String, usize, bool)> = history(&folder.path(""))
        .unwrap()
        .into_iter()
        .map(|entry| (entry.command, entry.files, entry.undone))
        .collect();
    let expected = [("add one", false), ("add two", true), ("add three", true)];
    assert_eq!(
        entries,
        expected.map(|(command, undone)| (command.to_owned(), 5, undone))
    );
    // A new edit makes an end of redoing.
    apply_all(&mut editor, &remove("b")).unwrap();
    assert!(editor.redo(false, &on).is_err());
    assert_eq!(editor.history().len(), 2);
    editor.clear_history().unwrap();
    assert!(editor.history().is_empty() && !journal(&folder).exists());
    assert!(editor.undo(false, &on).is_err());
    apply_all(&mut editor, &add("more")).unwrap();
    editor.undo(false, &on).unwrap();
}

/// Many files are written by several threads.
#[test]
fn a_large_edit_is_whole_too() {
    let texts: Vec<String> = (0..300).map(|number| format!("tag {number}, a")).collect();
    let folder = folder_of(
        &texts
            .iter()
            .map(|text| Some(text.as_str()))
            .collect::<Vec<_>>(),
    );
    let before = files(&folder.path(""));
    let mut crashing = editor(&folder);
    let changes = changes(&crashing, &remove("a"));
    let stopped = crashing.apply(&changes, "remove a", &|step| match step {
        EditStep::Written { done: 150, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(TagsError::Stopped)));
    assert_eq!(files(&folder.path("")), before);
    crashing.apply(&changes, "remove a", &on).unwrap();
    assert_eq!(
        fs::read_to_string(folder.path("299.txt")).unwrap(),
        "tag 299"
    );
    crashing.undo(false, &on).unwrap();
    assert_eq!(files(&folder.path("")), before);
}
