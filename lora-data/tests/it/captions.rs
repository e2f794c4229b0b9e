//! Caption files: encodings, extensions, and what happens without one.

use lora_data::{CaptionConfig, Dataset, DatasetConfig, ImageFolders, tag_frequency};

use crate::folder::Folder;

fn captions(config: &DatasetConfig) -> Vec<String> {
    ImageFolders::open(config)
        .unwrap()
        .entries()
        .iter()
        .map(|entry| entry.caption.clone())
        .collect()
}

#[test]
fn byte_order_mark_and_windows_line_ends_are_no_part_of_it() {
    let folder = Folder::new();
    folder
        .picture("set/a.png")
        .write("set/a.txt", "\u{feff}sks 犬, grass\r\n");
    assert_eq!(captions(&folder.config(&["set"])), ["sks 犬, grass"]);
}

#[test]
fn only_the_first_line_is_used_and_that_is_told() {
    let folder = Folder::new();
    folder
        .picture("set/a.png")
        .write("set/a.txt", "one\ntwo\nthree\n");
    let opened = folder.open("set").unwrap();
    assert_eq!(opened.entries()[0].caption, "one");
    assert_eq!(
        folder.notes(&opened)[1],
        "set/a.txt: only the first line is used; 2 more not"
    );
}

#[test]
fn of_two_caption_files_the_extension_named_first_counts() {
    let folder = Folder::new();
    folder
        .picture("set/a.png")
        .write("set/a.txt", "tags")
        .write("set/a.caption", "sentence");
    let mut config = folder.config(&["set"]);
    let opened = ImageFolders::open(&config).unwrap();
    assert_eq!(opened.entries()[0].caption, "tags");
    assert_eq!(
        folder.notes(&opened)[1],
        "set/a.txt: used instead of: a.caption"
    );
    config.caption.extensions = vec![".caption".into(), ".txt".into()];
    assert_eq!(captions(&config), ["sentence"]);
}

#[test]
fn two_pictures_of_one_name_share_a_caption_and_that_is_told() {
    let folder = Folder::new();
    folder.picture("set/a.jpg").captioned("set/a.png");
    let opened = folder.open("set").unwrap();
    assert_eq!(opened.entries()[0].caption, opened.entries()[1].caption);
    assert_eq!(
        folder.notes(&opened)[1],
        "set: pictures of one name share one caption: a.jpg, a.png"
    );
}

#[test]
fn a_dot_in_the_name_is_part_of_the_stem() {
    let folder = Folder::new();
    folder
        .picture("set/v1.5.png")
        .write("set/v1.5.txt", "new")
        .picture("set/v1.png")
        .write("set/v1.txt", "old");
    assert_eq!(captions(&folder.config(&["set"])), ["new", "old"]);
}

#[test]
fn without_a_caption_one_must_be_allowed_to_train() {
    let folder = Folder::new();
    folder
        .picture("set/a.png")
        .picture("set/b.png")
        .write("set/b.txt", " \n");
    let mut config = folder.config(&["set"]);
    assert_eq!(
        folder.problems(&config),
        [
            "set/a.png: has no caption; add a.txt, or name the folder N_class (as 10_sks dog), or set caption.allow_missing",
            "set/b.txt: is empty; write a caption, or set caption.allow_missing to train without one",
        ]
    );
    config.caption.allow_missing = true;
    let opened = ImageFolders::open(&config).unwrap();
    assert!(
        opened
            .entries()
            .iter()
            .all(|entry| entry.caption.is_empty())
    );
    assert_eq!(
        folder.notes(&opened)[1],
        "set: without a caption file, trained with an empty caption: a.png"
    );
}

#[test]
fn class_tokens_stand_in_even_where_missing_captions_are_allowed() {
    let folder = Folder::new();
    folder.picture("3_dog/a.png");
    let mut config = folder.config(&["3_dog"]);
    config.caption = CaptionConfig {
        allow_missing: true,
        ..CaptionConfig::default()
    };
    assert_eq!(captions(&config), ["dog"]);
}

#[test]
fn tags_are_counted_by_folder() {
    let folder = Folder::new();
    folder
        .picture("set/2_x/a.png")
        .write("set/2_x/a.txt", "x, Tree")
        .picture("set/2_x/b.png")
        .picture("set/3_y/c.png");
    let opened = folder.open("set").unwrap();
    let counts = tag_frequency(opened.entries());
    assert_eq!(
        (
            counts["2_x"]["x"],
            counts["2_x"]["tree"],
            counts["3_y"]["y"]
        ),
        (2, 1, 1)
    );
}
