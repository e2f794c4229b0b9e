//! Which folders are read, with which repeats and class tokens, and what is said about it.

use lora_data::{Dataset, FolderConfig, ImageFolders, dataset_dirs};

use crate::folder::Folder;

/// File name, caption, folder and repeats of each entry.
fn summary(opened: &ImageFolders) -> Vec<(String, &str, &str, u32)> {
    let name = |path: &std::path::Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let entries = opened.entries().iter();
    entries
        .map(|entry| {
            (
                name(&entry.image),
                entry.caption.as_str(),
                entry.folder.as_str(),
                entry.repeats,
            )
        })
        .collect()
}

#[test]
fn a_flat_folder_is_shown_once_in_order_of_names() {
    let folder = Folder::new();
    folder
        .captioned("style/b.png")
        .captioned("style/a.jpg")
        .captioned("style/c.webp")
        .captioned("style/d.bmp");
    let opened = folder.open("style").unwrap();
    assert_eq!(
        summary(&opened),
        [
            ("a.jpg".into(), "caption of style/a.jpg", "style", 1),
            ("b.png".into(), "caption of style/b.png", "style", 1),
            ("c.webp".into(), "caption of style/c.webp", "style", 1),
            ("d.bmp".into(), "caption of style/d.bmp", "style", 1),
        ]
    );
    assert_eq!(
        folder.notes(&opened),
        ["style: 4 pictures × 1 (repeats not set)"]
    );
}

#[test]
fn a_kohya_parent_gives_repeats_and_class_tokens() {
    let folder = Folder::new();
    folder
        .captioned("set/10_sks dog/a.png")
        .picture("set/10_sks dog/b.png")
        .captioned("set/2_cat/c.png");
    let opened = folder.open("set").unwrap();
    assert_eq!(
        summary(&opened),
        [
            (
                "a.png".into(),
                "caption of set/10_sks dog/a.png",
                "10_sks dog",
                10
            ),
            ("b.png".into(), "sks dog", "10_sks dog", 10),
            ("c.png".into(), "caption of set/2_cat/c.png", "2_cat", 2),
        ]
    );
    assert_eq!(
        folder.notes(&opened),
        [
            "set: read as the parent of 10_sks dog, 2_cat",
            "set/10_sks dog: 2 pictures × 10 (repeats from the folder's name); class tokens \"sks dog\"",
            "set/2_cat: 1 picture × 2 (repeats from the folder's name); class tokens \"cat\"",
            "set/10_sks dog: without a caption file, trained with \"sks dog\": b.png",
        ]
    );
    let dirs = dataset_dirs(opened.entries());
    assert_eq!(
        (dirs["10_sks dog"].n_repeats, dirs["10_sks dog"].img_count),
        (10, 2)
    );
}

#[test]
fn a_kohya_leaf_is_read_by_itself() {
    let folder = Folder::new();
    folder.picture("10_sks dog/a.png");
    assert_eq!(
        summary(&folder.open("10_sks dog").unwrap()),
        [("a.png".into(), "sks dog", "10_sks dog", 10)]
    );
}

#[test]
fn a_leaf_with_pictures_is_no_parent_and_a_named_folder_without_is() {
    let folder = Folder::new();
    folder
        .picture("10_leaf/a.png")
        .picture("10_leaf/5_inner/b.png")
        .picture("10_parent/5_inner/c.png");
    let leaf = folder.open("10_leaf").unwrap();
    assert_eq!(summary(&leaf), [("a.png".into(), "leaf", "10_leaf", 10)]);
    assert_eq!(
        folder.notes(&leaf)[1],
        "10_leaf: folders in it are not entered: 5_inner"
    );
    let parent = folder.open("10_parent").unwrap();
    assert_eq!(summary(&parent), [("c.png".into(), "inner", "5_inner", 5)]);
}

#[test]
fn what_a_parent_leaves_out_is_told() {
    let folder = Folder::new();
    folder
        .picture("set/10_dog/a.png")
        .picture("set/512/b.png")
        .picture("set/more/c.png")
        .picture("set/d.png");
    let opened = folder.open("set").unwrap();
    assert_eq!(opened.entries().len(), 1);
    assert_eq!(
        folder.notes(&opened)[..3],
        [
            "set: read as the parent of 10_dog",
            "set: not used, for they are not named N_class: 512, more",
            "set: pictures not used, for they are beside the N_class folders and not in them: d.png",
        ]
    );
}

#[test]
fn the_config_goes_before_the_name() {
    let folder = Folder::new();
    folder.picture("10_dog/a.png").captioned("10_dog/b.png");
    let mut config = folder.config(&[]);
    config.folders = vec![FolderConfig {
        repeats: Some(3),
        class_tokens: Some("zyblo".into()),
        ..FolderConfig::new(folder.path("10_dog"))
    }];
    let opened = ImageFolders::open(&config).unwrap();
    assert_eq!(
        summary(&opened),
        [
            ("a.png".into(), "zyblo", "10_dog", 3),
            ("b.png".into(), "caption of 10_dog/b.png", "10_dog", 3)
        ]
    );
    assert_eq!(
        folder.notes(&opened)[0],
        "10_dog: 2 pictures × 3 (repeats from the config, not the 10 of the folder's name); class tokens \"zyblo\""
    );
}

#[test]
fn folders_follow_the_config_and_share_one_numbering() {
    let folder = Folder::new();
    folder.captioned("z/a.png").captioned("b/a.png");
    let opened = ImageFolders::open(&folder.config(&["z", "b"])).unwrap();
    let folders: Vec<_> = opened
        .entries()
        .iter()
        .map(|entry| entry.folder.as_str())
        .collect();
    assert_eq!(folders, ["z", "b"]);
}

#[test]
fn extensions_count_in_any_case_and_other_files_do_not_count() {
    let folder = Folder::new();
    folder
        .captioned("set/a.PNG")
        .picture("set/B.JPeG")
        .write("set/B.TXT", "loud");
    folder
        .write("set/notes.md", "x")
        .write("set/._a.png", "resource fork")
        .write("set/a.npz", "cache");
    folder
        .write("set/stray.txt", "left over")
        .write("set/moving.gif", "GIF89a")
        .folder("set/.ipynb_checkpoints");
    let opened = folder.open("set").unwrap();
    assert_eq!(
        summary(&opened),
        [
            ("B.JPeG".into(), "loud", "set", 1),
            ("a.PNG".into(), "caption of set/a.PNG", "set", 1)
        ]
    );
    assert_eq!(
        folder.notes(&opened)[1..],
        [
            "set: pictures of a format that is not read: moving.gif",
            "set: caption files without a picture of that name: stray.txt",
        ]
    );
}

#[test]
fn small_pictures_are_told() {
    let folder = Folder::new();
    folder.captioned("set/a.png");
    let mut config = folder.config(&["set"]);
    config.resolution = lora_data::Resolution {
        width: 8,
        height: 16,
    };
    let opened = ImageFolders::open(&config).unwrap();
    assert_eq!(
        folder.notes(&opened)[1],
        "set: enlarged to 8×16, for they are smaller: a.png (8×8)"
    );
}
