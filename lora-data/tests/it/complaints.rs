//! What keeps a dataset from opening: everything at once, each file by name.

use image::{ImageFormat, Rgb, RgbImage};
use lora_data::{DatasetConfig, FolderConfig, ImageFolders, Resolution};

use crate::folder::{Folder, encoded, grey};

#[test]
fn every_broken_file_is_named_in_one_error() {
    let folder = Folder::new();
    let detailed = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * y * 7) as u8; 3]));
    let jpeg = encoded(&detailed, ImageFormat::Jpeg);
    let [png, bmp, webp] = [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::WebP]
        .map(|it| encoded(&grey(64, 64), it));
    folder
        .captioned("set/1_good/fine.png")
        .write("set/1_good/empty.png", "")
        .write("set/1_good/cut.jpg", &jpeg[..jpeg.len() * 3 / 4])
        .write("set/1_good/no_end.jpg", &jpeg[..jpeg.len() - 2])
        .write("set/1_good/cut.png", &png[..png.len() - 30])
        .write("set/1_good/cut.bmp", &bmp[..bmp.len() - 30])
        .write("set/1_good/cut.webp", &webp[..webp.len() - 30])
        .write("set/1_good/text.webp", "this is no picture")
        .picture("set/1_good/latin.png")
        .write("set/1_good/latin.txt", b"caf\xc3\xa9\ncaf\xe9")
        .picture("set/0_never/a.png")
        .folder("set/5_nothing");
    let problems = folder.problems(&folder.config(&["set", "absent"]));
    let starts = [
        "absent: cannot be listed: ",
        "set/0_never: repeats is 0, so its pictures would never be shown; use 1 or more",
        "set/1_good/cut.bmp: is cut short: ",
        "set/1_good/cut.jpg: is cut short: ",
        "set/1_good/cut.png: is cut short: ",
        "set/1_good/cut.webp: is cut short: ",
        "set/1_good/empty.png: is empty (0 bytes)",
        "set/1_good/latin.txt: line 2 is not UTF-8 (byte 10 of the file); save the file as UTF-8",
        "set/1_good/no_end.jpg: is cut short: ",
        "set/1_good/text.webp: is text, whatever its name says; ",
        "set/5_nothing: has no pictures (png, jpg, jpeg, webp, bmp)",
    ];
    assert_eq!(problems.len(), starts.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(starts) {
        assert!(
            problem.starts_with(start),
            "{problem}\ndoes not start with\n{start}"
        );
    }
}

#[test]
fn the_error_reads_as_a_list() {
    let folder = Folder::new();
    folder
        .picture("set/a.png")
        .write("set/b.png", "")
        .write("set/b.txt", "b");
    let message = folder.relative(&folder.open("set").unwrap_err().to_string());
    assert_eq!(
        message,
        "the dataset has 2 problems:\n  \
         set/a.png: has no caption; add a.txt, or name the folder N_class (as 10_sks dog), or set caption.allow_missing\n  \
         set/b.png: is empty (0 bytes)"
    );
}

#[test]
fn an_empty_folder_points_at_the_folders_in_it() {
    let folder = Folder::new();
    folder.captioned("set/dogs/a.png");
    assert_eq!(
        folder.problems(&folder.config(&["set"])),
        [
            "set: has no pictures (png, jpg, jpeg, webp, bmp); folders in it are entered when named N_class \
          (as 10_sks dog), or list them: dogs"
        ]
    );
}

#[test]
fn repeats_of_zero_in_the_config_is_a_problem() {
    let folder = Folder::new();
    folder.captioned("set/a.png");
    let mut config = folder.config(&[]);
    config.folders = vec![FolderConfig {
        repeats: Some(0),
        ..FolderConfig::new(folder.path("set"))
    }];
    assert_eq!(
        folder.problems(&config),
        ["set: repeats is 0, so its pictures would never be shown; use 1 or more"]
    );
}

#[test]
fn a_folder_is_taken_once() {
    let folder = Folder::new();
    folder
        .picture("set/10_dog/a.png")
        .write("set/10_dog/broken.png", "");
    assert_eq!(
        folder.problems(&folder.config(&["set", "set/10_dog"])),
        [
            "set/10_dog/broken.png: is empty (0 bytes)",
            "set/10_dog: is listed twice; use repeats to show its pictures more often",
        ]
    );
}

#[test]
fn a_file_is_no_folder() {
    let folder = Folder::new();
    folder.picture("a.png");
    let problems = folder.problems(&folder.config(&["a.png"]));
    assert!(
        problems[0].starts_with("a.png: cannot be listed: "),
        "{problems:?}"
    );
}

#[test]
fn settings_are_checked_with_the_rest() {
    let mut config = DatasetConfig {
        resolution: Resolution {
            width: 0,
            height: 8,
        },
        ..DatasetConfig::default()
    };
    config.caption.dropout = 1.5;
    let problems: Vec<_> = ImageFolders::open(&config)
        .unwrap_err()
        .problems
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        problems,
        [
            "caption.dropout = 1.5: expected a probability from 0 to 1",
            "no folder of pictures is given: set folders",
            "resolution = 0×8: expected at least one pixel each way",
        ]
    );
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_named() {
    let folder = Folder::new();
    folder.captioned("set/a.png").write("set/b.txt", "b");
    std::os::unix::fs::symlink("gone.png", folder.path("set/b.png")).unwrap();
    let problems = folder.problems(&folder.config(&["set"]));
    assert_eq!(
        problems,
        ["set/b.png: is a link to gone.png, which is not there; remove or mend it"]
    );
}

#[test]
fn absurd_repeats_are_refused() {
    let folder = Folder::new();
    folder.captioned("4294967295_狗 dog/a.png");
    assert_eq!(
        folder.problems(&folder.config(&["4294967295_狗 dog"])),
        [
            "4294967295_狗 dog: 4294967295 exposures an epoch by its repeats, 4294967295 with all folders; more than \
             100000000 are not planned; use fewer repeats"
        ]
    );
}

/// A folder that links to one above it would go on for ever if links were followed down.
#[cfg(unix)]
#[test]
fn links_in_a_circle_end() {
    let folder = Folder::new();
    folder.captioned("set/1_x/a.png");
    std::os::unix::fs::symlink("..", folder.path("set/1_x/2_up")).unwrap();
    std::os::unix::fs::symlink("3_self", folder.path("set/3_self")).unwrap();
    std::os::unix::fs::symlink("b.png", folder.path("set/1_x/b.png")).unwrap();
    let problems = folder.problems(&folder.config(&["set"]));
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("set/1_x/b.png: cannot be read: "),
        "{problems:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode_are_read() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    folder.captioned("set/a.png");
    for (from, to) in [
        ("set/a.png", &b"set/caf\xe9.png"[..]),
        ("set/a.txt", b"set/caf\xe9.txt"),
    ] {
        let to = folder.path("").join(std::ffi::OsStr::from_bytes(to));
        std::fs::rename(folder.path(from), to).unwrap();
    }
    let opened = folder.open("set").unwrap();
    assert_eq!(
        lora_data::Dataset::entries(&opened)[0].caption,
        "caption of set/a.png"
    );
}
