use std::fs;

use lora_data::tags::{
    CaptionOptions, CaptionSet, Edit, Place, Selection, SortOrder, TagEditor, TagsError,
};

use crate::{
    folder::Folder,
    tags_folder::{add, apply_all, editor, files, folder_of, letters, on, remove, selected, set},
};

/// What the caption file of one picture holds after an edit.
fn edited(text: &str, edit: &Edit) -> String {
    let folder = folder_of(&[Some(text)]);
    apply_all(&mut editor(&folder), edit).expect("it is edited");
    fs::read_to_string(folder.path("0.txt")).expect("a caption")
}

fn added(tags: &str, place: Place, moved: bool) -> Edit {
    Edit::Add {
        tags: vec![tags.to_owned()],
        place,
        moved,
    }
}

fn replaced(old: &str, new: &str) -> Edit {
    Edit::Replace {
        old: old.parse().expect("a pattern"),
        new: new.to_owned(),
    }
}

fn renamed(old: &str, new: &str) -> Edit {
    Edit::Rename {
        old: old.to_owned(),
        new: new.to_owned(),
    }
}

#[test]
fn tags_are_added_where_they_are_wanted_and_once() {
    let place = |place| added("sks dog, sky", place, false);
    for (edit, text, expected) in [
        (place(Place::Back), "a, b\n", "a, b, sks dog, sky\n"),
        (place(Place::Front), "a, b\n", "sks dog, sky, a, b\n"),
        (place(Place::At(2)), "a,b\n", "a,sks dog,sky,b\n"),
        (place(Place::At(9)), "a", "a, sks dog, sky"),
        (place(Place::Front), "a, SKS_dog", "sky, a, SKS_dog"),
        (place(Place::Back), "", "sks dog, sky\n"),
        (added("b", Place::Front, true), "a, b ,c", "b ,a ,c"),
        (added("a, b", Place::Front, true), "a,  b, c", "a,  b, c"),
        (added("b", Place::Back, true), "b, a, b", "a, b"),
        (
            place(Place::Front),
            "\u{feff}a\r\nb\r\n",
            "\u{feff}sks dog, sky, a\r\nb\r\n",
        ),
        (
            place(Place::Back),
            "\u{feff}\r\n",
            "\u{feff}sks dog, sky\r\n",
        ),
    ] {
        assert_eq!(edited(text, &edit), expected, "{edit:?} {text:?}");
    }
}

#[test]
fn tags_are_removed_by_name_stars_and_expressions() {
    for (patterns, text, expected) in [
        ("long hair", "a,Long_Hair ,b", "a,b"),
        ("*_background, b", "a, simple background, b", "a"),
        (
            "/^(red|blue) eyes$/",
            "red eyes, a, blue_eyes, eyes",
            "a, eyes",
        ),
        ("saber (fate)", "saber \\(fate\\), ^_^", "^_^"),
        ("^_^", "^_^, ^ ^", "^ ^"),
        ("b", "{a, b|c}, b", "{a, b|c}"),
        ("a", "a\r\n", "\r\n"),
        ("x", "a ,b,,", "a ,b,,"),
    ] {
        assert_eq!(
            edited(text, &remove(patterns)),
            expected,
            "{patterns} {text}"
        );
    }
}

#[test]
fn tags_are_replaced_by_one_several_or_what_an_expression_found() {
    for (old, new, text, expected) in [
        ("cat", "cat, animal", "a, Cat ,b", "a, cat, animal ,b"),
        ("cat", "dog", "cat, dog, a", "dog, a"),
        ("*_hair", "hair", "long hair, a, red_hair", "hair, a"),
        (
            "/^(red|blue) eyes$/",
            "$1 iris",
            "red_eyes, blue eyes",
            "red iris, blue iris",
        ),
        ("/_/", " ", "long_hair, a_b_c", "long hair, a b c"),
        ("/^x.*/", "", "xy, a", "a"),
        ("cat", "$1", "cat", "$1"),
    ] {
        assert_eq!(
            edited(text, &replaced(old, new)),
            expected,
            "{old} {new} {text}"
        );
    }
}

#[test]
fn a_renamed_tag_merges_with_one_that_is_there() {
    for (old, new, text, expected) in [
        (
            "grey hair",
            "gray hair",
            "a, grey_hair, b",
            "a, gray hair, b",
        ),
        (
            "grey hair",
            "gray hair",
            "a, gray_hair, grey hair",
            "a, gray_hair",
        ),
        (
            "grey hair",
            "gray hair",
            "grey hair, Grey_Hair",
            "gray hair",
        ),
        ("Long_Hair", "long hair", "Long_Hair", "long hair"),
        ("a", "b", "a ||| a, c", "b ||| c"),
    ] {
        assert_eq!(edited(text, &renamed(old, new)), expected, "{text}");
    }
}

#[test]
fn tags_are_sorted_and_duplicates_go() {
    let sort = |by, keep| Edit::Sort { by, keep };
    assert_eq!(
        edited("sks, c ,B, a", &sort(SortOrder::Name, 1)),
        "sks, a ,B, c"
    );
    assert_eq!(
        edited("c, a ||| d, b", &sort(SortOrder::Name, 0)),
        "a, c ||| b, d"
    );
    let folder = folder_of(&[Some("a, b, c"), Some("c, d"), Some("C, b")]);
    apply_all(&mut editor(&folder), &sort(SortOrder::Frequency, 0)).unwrap();
    let captions: Vec<String> = set(&folder)
        .captions()
        .iter()
        .map(|caption| caption.caption().to_owned())
        .collect();
    assert_eq!(captions, ["c, b, a", "c, d", "C, b"]);
    let dedupe = |variants| Edit::Dedupe { variants };
    assert_eq!(edited("a, b, a, A", &dedupe(false)), "a, b, A");
    assert_eq!(
        edited("long hair, b, Long_Hair", &dedupe(true)),
        "long hair, b"
    );
}

#[test]
fn one_caption_is_set_as_a_line_or_as_a_file() {
    let caption = |text: &str| Edit::SetCaption(text.to_owned());
    assert_eq!(
        edited("\u{feff}a\r\nb", &caption(" x, y ")),
        "\u{feff}x, y\r\nb"
    );
    assert_eq!(edited("a\n", &caption("")), "\n");
    assert_eq!(
        edited("a\nb", &Edit::SetFile("x\ny\n".to_owned())),
        "x\ny\n"
    );
    let folder = folder_of(&[Some("a")]);
    let error = apply_all(&mut editor(&folder), &caption("x\ny")).unwrap_err();
    assert!(matches!(error, TagsError::CaptionOfLines));
}

#[test]
fn what_would_be_read_as_something_else_is_refused_and_nothing_is_written() {
    for (text, edit) in [
        ("x\nsecond line", remove("x")),
        ("x\nsecond line", Edit::SetCaption(String::new())),
        (
            "狐}, {y",
            Edit::Sort {
                by: SortOrder::Name,
                keep: 0,
            },
        ),
    ] {
        let folder = folder_of(&[Some("x, z"), Some(text)]);
        let before = files(&folder.path(""));
        let error = apply_all(&mut editor(&folder), &edit).unwrap_err();
        assert!(
            folder.relative(&error.to_string()).starts_with("1.txt: "),
            "{error}"
        );
        assert_eq!(files(&folder.path("")), before);
    }
    for text in ["", "a\nb", "a ||| b"] {
        let folder = folder_of(&[Some("x")]);
        assert!(
            apply_all(&mut editor(&folder), &add(text)).is_err(),
            "{text:?}"
        );
        assert!(
            apply_all(&mut editor(&folder), &replaced("x", text)).is_err(),
            "{text:?}"
        );
        assert!(
            apply_all(&mut editor(&folder), &renamed("x", text)).is_err(),
            "{text:?}"
        );
    }
    assert!(apply_all(&mut editor(&folder_of(&[Some("x")])), &renamed("x", "a, b")).is_err());
}

#[test]
fn only_the_selected_change_and_what_does_not_change_is_not_written() {
    let folder = folder_of(&[Some("a"), Some("b"), None, Some("a, x")]);
    let mut editor = editor(&folder);
    let changes = editor
        .set()
        .changes(&selected(editor.set(), "a"), &add("x"))
        .unwrap();
    assert_eq!(changes.len(), 1);
    let change = &changes.as_slice()[0];
    assert_eq!(
        (
            change.name.as_str(),
            change.caption_before().as_str(),
            change.caption_after().as_str()
        ),
        ("0.png", "a", "a, x")
    );
    let applied = editor
        .apply(&changes, "add x", &on)
        .unwrap()
        .expect("a change");
    assert_eq!((applied.files, applied.command.as_str()), (1, "add x"));
    assert_eq!(editor.set().captions()[0].caption(), "a, x");
    assert!(apply_all(&mut editor, &remove("none")).unwrap().is_none());
    assert!(apply_all(&mut editor, &add("x")).unwrap().is_some());
    assert_eq!(fs::read_to_string(folder.path("2.txt")).unwrap(), "x\n");
    assert_eq!(editor.history().len(), 2);
}

#[test]
fn tags_are_counted_in_every_spelling_and_pictures_found_by_name() {
    let folder = folder_of(&[
        Some("a, b, a"),
        Some("long_hair, a"),
        Some("long hair"),
        None,
    ]);
    folder
        .write("more/0.png", "")
        .write("more/0.txt", "z")
        .write("alone.txt", "words");
    let options = CaptionOptions {
        recursive: true,
        ..CaptionOptions::default()
    };
    let set = CaptionSet::open(&folder.path(""), &options).unwrap();
    let counts: Vec<(String, usize)> = set
        .counts(&Selection::all(&set))
        .into_iter()
        .map(|count| (count.tag, count.pictures))
        .collect();
    let expected = [
        ("a", 2),
        ("b", 1),
        ("long hair", 1),
        ("long_hair", 1),
        ("z", 1),
    ];
    assert_eq!(counts, expected.map(|(tag, count)| (tag.to_owned(), count)));
    assert!(set.notes()[0].ends_with("captions without a picture: alone.txt"));
    for (name, expected) in [
        ("1", &[1][..]),
        ("1.png", &[1]),
        ("1.txt", &[1]),
        ("more/0", &[4]),
        ("more/0.png", &[4]),
        ("0", &[0, 4]),
    ] {
        assert_eq!(set.named(name).unwrap().indices(), expected, "{name}");
    }
    let error = set.named("more/0.pgn").unwrap_err().to_string();
    assert!(error.ends_with("no picture named \"more/0.pgn\"; did you mean \"more/0.png\"?"));
    let error = set.the_one_named("0").unwrap_err().to_string();
    assert!(error.contains("0.png, more/0.png"), "{error}");
    assert_eq!(
        set.unknown(&["A", "lnog hair"]),
        [("lnog hair", Some("long hair".to_owned()))]
    );
    assert_eq!(set.captions()[1].tokens(&letters), 12);
}

#[test]
fn tokens_are_those_of_the_longest_alternative() {
    let folder = folder_of(&[Some("a {b|long} c\nmuch longer than that"), None]);
    let set = set(&folder);
    let tokens: Vec<usize> = set
        .captions()
        .iter()
        .map(|one| one.tokens(&letters))
        .collect();
    assert_eq!(tokens, ["a long c".len(), 0]);
}

#[test]
fn all_captions_that_are_not_utf_8_are_named_with_line_and_byte() {
    let folder = folder_of(&[Some("fine"), None, None]);
    folder.write("1.txt", b"\xef\xbb\xbfcaf\xc3\xa9\r\ncaf\xe9\r\n");
    folder.write("2.txt", b"\xff\xfea\0");
    let error = CaptionSet::open(&folder.path(""), &CaptionOptions::default()).unwrap_err();
    assert_eq!(
        folder.relative(&error.to_string()),
        "1.txt: line 2 is not UTF-8 (byte 14 of the file); save the file as UTF-8\n\
         2.txt: line 1 is not UTF-8 (byte 1 of the file); save the file as UTF-8"
    );
    assert!(TagEditor::open(&folder.path(""), &CaptionOptions::default()).is_err());
}

#[test]
fn folders_and_options_that_cannot_be_used_say_so() {
    let error = |folder: &Folder, options: &CaptionOptions| {
        let error = TagEditor::open(&folder.path("x"), options).unwrap_err();
        folder.relative(&error.to_string())
    };
    let usual = CaptionOptions::default();
    let folder = Folder::new();
    assert!(error(&folder, &usual).starts_with("x: cannot be listed"));
    folder.folder("x/deeper");
    assert!(error(&folder, &usual).contains("--recursive enters the folders in it: deeper"));
    let options = CaptionOptions {
        separator: String::new(),
        ..usual
    };
    assert!(error(&folder, &options).starts_with("separator = \"\": expected"));
}

#[test]
fn other_separators_and_extensions() {
    let folder = Folder::new();
    folder
        .write("a.png", "")
        .write("a.tags", "x y z")
        .write("a.txt", "other");
    let options = CaptionOptions {
        separator: " ".to_owned(),
        extension: Some(".tags".to_owned()),
        ..CaptionOptions::default()
    };
    let mut editor = TagEditor::open(&folder.path(""), &options).unwrap();
    apply_all(&mut editor, &remove("y")).unwrap();
    apply_all(&mut editor, &add("w")).unwrap();
    assert_eq!(fs::read_to_string(folder.path("a.tags")).unwrap(), "x z w");
    assert_eq!(fs::read_to_string(folder.path("a.txt")).unwrap(), "other");
}
