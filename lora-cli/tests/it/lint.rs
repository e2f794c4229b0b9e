use std::{fs, path::Path};

use image::{Rgb, RgbImage};

use crate::program::{run, transcript, with_filters};

/// Pictures of several proportions, with captions that want looking at.
fn pictures(folder: &Path) {
    let set = folder.join("10_sks dog");
    fs::create_dir(&set).unwrap();
    for (name, (width, height), caption) in [
        ("one.png", (512, 512), "sks dog, red collar, grass"),
        ("two.png", (1600, 512), "sks dog, Grass, sky"),
        ("three.png", (200, 200), "a dog，草地"),
        ("四.png", (512, 768), "sks dog, sitting"),
    ] {
        let picture = RgbImage::from_pixel(width, height, Rgb([width as u8, 3, 7]));
        picture.save(set.join(name)).unwrap();
        fs::write(set.join(name).with_extension("txt"), caption).unwrap();
    }
}

#[test]
fn what_is_odd_is_told_and_errors_end_in_failure() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let arguments = ["lint", ".", "--trigger", "sks dog", "--size", "512x512"];
    with_filters(|| {
        let told = transcript(folder.path(), &arguments);
        insta::assert_snapshot!("lint", told);
        let fixed = ["--fixed-trait", "Red_collar", "--buckets", "--json"];
        let told = transcript(folder.path(), &[&arguments[..], &fixed].concat());
        insta::assert_snapshot!("lint_errors", told);
        insta::assert_snapshot!(
            "lint_rules",
            transcript(folder.path(), &["lint", "--rules"])
        );
    });
    let code = |more: &[&str]| {
        let output = run(folder.path(), &[&arguments[..], more].concat());
        output.status.code()
    };
    assert_eq!(code(&[]), Some(0));
    assert_eq!(code(&["--strict"]), Some(1));
    assert_eq!(code(&["--fixed-trait", "grass"]), Some(1));
    assert_eq!(
        code(&["--fixed-trait", "grass", "--allow", "fixed-trait-tagged"]),
        Some(0)
    );
}

#[test]
fn what_cannot_be_opened_is_an_error_of_lint() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    fs::write(folder.path().join("10_sks dog/broken.png"), b"no picture").unwrap();
    with_filters(|| {
        insta::assert_snapshot!("lint_unopened", transcript(folder.path(), &["lint", "."]));
    });
}
