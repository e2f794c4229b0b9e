//! `lora tag` with a small tagger of WD14's interface (testdata/tagger).

use std::{fs, path::Path};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{run, text, transcript, with_filters};

const TAGGER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/tagger");

/// A folder with the tagger in `wd/` and three pictures in `my pictures/`.
fn prepared() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let copy = |from: &str, to: &str| {
        let to = folder.path().join(to);
        fs::create_dir_all(to.parent().expect("a folder")).expect("made");
        fs::copy(Path::new(TAGGER).join(from), to).expect("copied");
    };
    for file in ["model.onnx", "planes_logits.onnx", "selected_tags.csv"] {
        copy(file, &format!("wd/{file}"));
    }
    for (from, to) in [
        ("cat.png", "猫.png"),
        ("shapes.png", "shapes.png"),
        ("strip.png", "strip.png"),
    ] {
        copy(from, &format!("my pictures/{to}"));
    }
    folder
}

fn caption(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join("my pictures").join(name)).expect("a caption")
}

#[test]
fn tagging_tells_what_it_did() {
    let folder = prepared();
    let pictures = folder.path().join("my pictures");
    let tell = |name: &str, arguments: &[&str]| {
        let all = [&["tag", "my pictures"], arguments].concat();
        let said = transcript(folder.path(), &all);
        with_filters(|| insta::assert_snapshot!(format!("tag_{name}"), said));
    };
    tell("dry_run", &["-m", "wd", "--dry-run", "--rating"]);
    assert_eq!(fs::read_dir(&pictures).expect("a folder").count(), 3);
    tell(
        "written",
        &["-m", "wd/model.onnx", "--general-threshold", "0.9"],
    );
    tell("kept", &["-m", "wd"]);
    fs::write(pictures.join("broken.png"), "no picture").expect("written");
    tell(
        "appended",
        &[
            "-m",
            "wd/planes_logits.onnx",
            "--mode",
            "append",
            "--prepend",
            "sks thing",
            "--exclude",
            "*_background, outdors",
            "--replace",
            "1girl=woman",
            "--no-characters",
        ],
    );
    assert!(caption(&folder, "猫.txt").starts_with("sks thing, long hair, cat, animal, woman, "));
    tell(
        "nothing_likely",
        &[
            "-m",
            "wd",
            "--extension",
            "wd",
            "--general-threshold",
            "1",
            "--no-characters",
        ],
    );
}

#[test]
fn errors_say_what_to_do() {
    let folder = prepared();
    fs::write(folder.path().join("short.csv"), "name\ncat\n").expect("written");
    fs::write(
        folder.path().join("bad.csv"),
        "tag_id,name,category\n1,cat,x\n",
    )
    .expect("written");
    for (name, arguments) in [
        (
            "no_model",
            &["tag", "my pictures", "-m", "nowhere.onnx"][..],
        ),
        (
            "list_too_short",
            &["tag", "my pictures", "-m", "wd", "--tags", "short.csv"],
        ),
        (
            "list_malformed",
            &["tag", "my pictures", "-m", "wd", "--tags", "bad.csv"],
        ),
        ("no_pictures", &["tag", "wd", "-m", "wd"]),
        ("no_folder", &["tag", "nowhere", "-m", "wd"]),
        (
            "threshold",
            &[
                "tag",
                "my pictures",
                "-m",
                "wd",
                "--general-threshold",
                "35",
            ],
        ),
        (
            "pattern",
            &["tag", "my pictures", "-m", "wd", "--exclude", "/a(/"],
        ),
        (
            "replacement",
            &["tag", "my pictures", "-m", "wd", "--replace", "cat"],
        ),
    ] {
        let said = transcript(folder.path(), arguments);
        with_filters(|| insta::assert_snapshot!(format!("error_tag_{name}"), said));
    }
}

#[test]
fn programs_read_the_document() {
    let folder = prepared();
    let output = run(
        folder.path(),
        &["tag", "my pictures", "-m", "wd", "--json", "--dry-run"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&document["written"], &document["complete"]),
        (&3.into(), &true.into())
    );
    let pictures = document["pictures"].as_array().expect("pictures");
    assert_eq!(pictures.len(), 3);
    let recorded = fs::read(Path::new(TAGGER).join("onnxruntime.json")).expect("a file");
    let recorded: Value = serde_json::from_slice(&recorded).expect("JSON");
    let cat = pictures
        .iter()
        .find(|one| one["picture"] == "my pictures/猫.png")
        .expect("a cat");
    let first = &cat["tags"][0];
    // `long_hair` is the seventh of the list.
    assert_eq!(
        (&first["name"], &first["category"]),
        (&"long hair".into(), &"general".into())
    );
    let expected = recorded["cat.png"][6].as_f64().expect("a number");
    let found = first["probability"].as_f64().expect("a number");
    assert!((found - expected).abs() < 1e-3, "{found} and {expected}");
    assert!(
        cat["caption"]
            .as_str()
            .expect("text")
            .starts_with("long hair, cat, ")
    );
}

/// Ctrl-C: whole captions only, the code 130, and the same command goes on.
#[cfg(unix)]
#[test]
fn ctrl_c_leaves_whole_captions_and_the_next_run_goes_on() {
    use std::process::{Command, Stdio};
    const PICTURES: usize = 400;
    let folder = prepared();
    let many = folder.path().join("many");
    fs::create_dir(&many).expect("made");
    for index in 0..PICTURES {
        let name = format!("{index:03}.png");
        fs::copy(Path::new(TAGGER).join("cat.png"), many.join(name)).expect("copied");
    }
    let arguments = [
        "tag",
        "many",
        "-m",
        "wd",
        "--mode",
        "overwrite",
        "--threads",
        "2",
    ];
    let mut child = crate::program::lora(folder.path())
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    while !many.join("003.txt").exists() {
        assert!(
            child.try_wait().expect("a child").is_none(),
            "it ended too early"
        );
        std::thread::yield_now();
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill is there").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));

    let names = |extension: &str| {
        let files = fs::read_dir(&many).expect("a folder");
        let paths = files.map(|file| file.expect("a file").path());
        paths
            .filter(|path| path.extension().is_some_and(|one| one == extension))
            .count()
    };
    let written = names("txt");
    assert!((4..PICTURES).contains(&written), "{written} captions");
    assert_eq!(
        fs::read_dir(&many).expect("a folder").count(),
        PICTURES + written + 1,
        "and the journal"
    );

    let output = run(folder.path(), &[&arguments[..], &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["done_before"], written);
    assert_eq!(document["written"], PICTURES - written);
    assert_eq!(
        fs::read_dir(&many).expect("a folder").count(),
        2 * PICTURES,
        "the journal is gone"
    );
    let captions: Vec<String> = (0..PICTURES)
        .map(|index| fs::read_to_string(many.join(format!("{index:03}.txt"))).expect("a caption"))
        .collect();
    assert!(
        captions
            .iter()
            .all(|caption| *caption == captions[0] && caption.ends_with('\n'))
    );
}
