use std::{fs, path::Path};

use image::{Rgb, RgbImage};

use crate::program::{run, transcript, with_filters};

/// Pictures of several proportions, with captions that want looking at.
fn pictures(folder: &Path) {
    let set = folder.join("10_sks dog");
    fs::create_dir(&set).expect("written");
    for (name, (width, height), caption) in [
        ("one.png", (512, 512), "sks dog, red collar, grass"),
        ("two.png", (1600, 512), "sks dog, Grass, sky"),
        ("three.png", (200, 200), "a dog，草地"),
        ("四.png", (512, 768), "sks dog, sitting"),
    ] {
        let picture = RgbImage::from_pixel(width, height, Rgb([width as u8, 3, 7]));
        picture.save(set.join(name)).expect("written");
        fs::write(set.join(name).with_extension("txt"), caption).expect("written");
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
fn a_page_shows_each_picture_with_what_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path());
    let caption = folder.path().join("10_sks dog/two.txt");
    fs::write(caption, "sks dog, <script>alert(1)</script>").unwrap();
    let base = format!("{}/base", crate::program::MINI);
    let config = format!("[model]\npath = '{base}'\n[[dataset.folders]]\npath = '.'\n");
    fs::write(folder.path().join("run.toml"), config).unwrap();
    let arguments = ["plan", "run.toml", "--device", "cpu", "--html", "plan.html"];
    assert!(run(folder.path(), &arguments).status.success());
    let page = fs::read_to_string(folder.path().join("plan.html")).unwrap();
    assert_eq!(page.matches("<figure>").count() - 1, 4);
    assert_eq!(page.matches("data:image/jpeg").count(), 4);
    // 1600 × 512 at 512 × 512 keeps the middle 32 %.
    assert!(
        page.contains("left: 34.0%; right: 34.0%; top: 0.0%"),
        "{page}"
    );
    assert!(page.contains("四.png") && page.contains("heavy-crop"));
    assert!(!page.contains("<script>alert(1)"));
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
