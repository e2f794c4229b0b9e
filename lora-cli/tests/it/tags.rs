//! `lora tags` on a few captions.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::{Output, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

use crate::program::{lora, run, text, transcript, with_filters};

const CAPTIONS: [(&str, Option<&str>); 5] = [
    (
        "fox.png",
        Some("sks fox, long_hair, smile, grass\r\nsecond line\r\n"),
    ),
    (
        "two foxes.png",
        Some("\u{feff}sks fox, 2girls ,Long hair,sky\n"),
    ),
    ("犬.png", Some("{red, x|blue} hat, saber \\(fate\\), ^_^")),
    ("empty.png", Some("\n")),
    ("none.png", None),
];

fn prepared() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let set = folder.path().join("my set");
    fs::create_dir(&set).expect("made");
    for (name, caption) in CAPTIONS {
        fs::write(set.join(name), "").expect("written");
        if let Some(caption) = caption {
            fs::write(set.join(name).with_extension("txt"), caption).expect("written");
        }
    }
    folder
}

/// Every caption file with its text.
fn captions(folder: &Path) -> BTreeMap<String, String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|one| one == "txt"))
        .map(|path| {
            let name = path
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            (name, fs::read_to_string(&path).expect("text"))
        })
        .collect()
}

fn tell(folder: &TempDir, name: &str, arguments: &[&str]) {
    let said = transcript(folder.path(), &[&["tags"], arguments].concat());
    with_filters(|| insta::assert_snapshot!(format!("tags_{name}"), said));
}

#[test]
fn looking_changes_nothing() {
    let folder = prepared();
    tell(&folder, "list", &["list", "my set"]);
    tell(&folder, "show", &["show", "my set"]);
    tell(&folder, "tokens", &["tokens", "my set", "--most", "9"]);
    let filter = "(smile OR sky) AND NOT name:two*";
    tell(
        &folder,
        "show_where",
        &["show", "my set", "--where", filter, "--json"],
    );
    tell(
        &folder,
        "show_unknown",
        &["show", "my set", "--where", "lnog hair OR smile grass"],
    );
    let names: Vec<_> = fs::read_dir(folder.path().join("my set"))
        .expect("a folder")
        .collect();
    assert_eq!(names.len(), 9);
}

#[test]
fn edits_are_shown_written_undone_and_done_again() {
    let folder = prepared();
    let set = folder.path().join("my set");
    let before = captions(&set);
    let add = ["add", "my set", "sks fox", "--front"];
    tell(&folder, "dry_run", &[&add[..], &["--dry-run"]].concat());
    assert_eq!(captions(&set), before);
    tell(&folder, "added", &add);
    let after = captions(&set);
    assert_eq!(after["none.txt"], "sks fox\n");
    assert_eq!(after["empty.txt"], "sks fox\n");
    tell(&folder, "nothing", &add);
    tell(
        &folder,
        "renamed",
        &["rename", "my set", "long hair", "hair", "--json"],
    );
    assert_eq!(
        captions(&set)["two foxes.txt"],
        "\u{feff}sks fox, 2girls ,hair,sky\n"
    );
    tell(&folder, "history", &["history", "my set"]);
    tell(&folder, "undo", &["undo", "my set", "2"]);
    assert_eq!(captions(&set), before);
    tell(&folder, "redo", &["redo", "my set"]);
    assert_eq!(captions(&set), after);
    fs::write(set.join("犬.txt"), "by hand").expect("written");
    tell(&folder, "undo_refused", &["undo", "my set"]);
    tell(&folder, "history_undone", &["history", "my set"]);
    tell(&folder, "undo_forced", &["undo", "my set", "--force"]);
    assert_eq!(captions(&set), before);
    tell(&folder, "cleared", &["history", "my set", "--clear"]);
}

#[test]
fn every_edit_reaches_the_captions() {
    for (arguments, file, expected) in [
        (
            &["remove", "SET", "*hair", "sky"][..],
            "two foxes.txt",
            "\u{feff}sks fox, 2girls\n",
        ),
        (
            &["remove", "SET", "smile", "--only", "犬"],
            "fox.txt",
            CAPTIONS[0].1.expect("text"),
        ),
        (
            &["replace", "SET", "/^(.*) fox$/", "$1 dog"],
            "fox.txt",
            "sks dog, long_hair, smile, grass\r\nsecond line\r\n",
        ),
        (
            &["sort", "SET", "--keep", "1"],
            "fox.txt",
            "sks fox, grass, long_hair, smile\r\nsecond line\r\n",
        ),
        (
            &["add", "SET", "sky", "--at", "2", "--move"],
            "two foxes.txt",
            "\u{feff}sks fox, sky, 2girls ,Long hair\n",
        ),
        (&["set", "SET", "犬", "a dog"], "犬.txt", "a dog"),
        (
            &["dedupe", "SET", "--variants"],
            "犬.txt",
            CAPTIONS[2].1.expect("text"),
        ),
    ] {
        let folder = prepared();
        let arguments: Vec<&str> = ["tags"]
            .iter()
            .chain(arguments)
            .map(|word| if *word == "SET" { "my set" } else { word })
            .collect();
        let output = run(folder.path(), &arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(
            captions(&folder.path().join("my set"))[file],
            expected,
            "{arguments:?}"
        );
    }
}

#[cfg(unix)]
#[test]
fn a_caption_is_edited_in_a_text_editor() {
    let folder = prepared();
    let edit = |program: &str| -> Output {
        lora(folder.path())
            .args(["tags", "edit", "my set", "fox"])
            .env_remove("VISUAL")
            .env("EDITOR", program)
            .output()
            .expect("the program starts")
    };
    let output = edit("sed -i s/smile/grin/");
    assert!(output.status.success(), "{}", text(&output.stderr));
    let set = folder.path().join("my set");
    let expected = "sks fox, long_hair, grin, grass\r\nsecond line\r\n";
    assert_eq!(captions(&set)["fox.txt"], expected);
    for program in ["false", "", "no-such-editor"] {
        let output = edit(program);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            text(&output.stderr).contains("editor"),
            "{}",
            text(&output.stderr)
        );
    }
    assert_eq!(captions(&set)["fox.txt"], expected);
}

#[test]
fn errors_say_what_to_do() {
    let folder = prepared();
    fs::write(folder.path().join("latin.png"), "").expect("written");
    fs::write(folder.path().join("latin.txt"), b"fine\ncaf\xe9").expect("written");
    for (name, arguments) in [
        ("filter", &["list", "my set", "--where", "犬 AND AND b"][..]),
        ("no_picture", &["set", "my set", "fx.png", "a"]),
        ("not_utf8", &["list", "."]),
        ("no_folder", &["add", "nowhere", "a"]),
        ("nothing_to_undo", &["undo", "my set"]),
        ("several_tags", &["rename", "my set", "smile", "a, b"]),
        ("uncovered", &["remove", "my set", "/./"]),
        (
            "option_as_tag",
            &["add", "my set", "--", "-_-", "--dry-run"],
        ),
        ("pattern", &["remove", "my set", "/a(/"]),
    ] {
        tell(&folder, &format!("error_{name}"), arguments);
    }
}

/// The machine stops at any moment: the next command finds all captions as before or as afterwards.
#[cfg(unix)]
#[test]
fn a_killed_edit_is_whole_or_not_at_all() {
    const PICTURES: usize = 400;
    let folder = tempfile::tempdir().expect("a folder");
    for index in 0..PICTURES {
        let picture = folder.path().join(format!("{index:03}.png"));
        fs::write(&picture, "").expect("written");
        fs::write(picture.with_extension("txt"), format!("tag {index}")).expect("written");
    }
    let before = captions(folder.path());
    let after: BTreeMap<String, String> = before
        .iter()
        .map(|(name, caption)| (name.clone(), format!("{caption}, new")))
        .collect();
    for round in 0..12 {
        let mut child = lora(folder.path())
            .args(["tags", "add", ".", "new"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program starts");
        // Until the first caption is written, and a little longer each time.
        let is_first = || fs::read(folder.path().join("000.txt")).expect("a caption") == b"tag 0";
        while is_first() && child.try_wait().expect("a child").is_none() {
            thread::yield_now();
        }
        thread::sleep(Duration::from_millis(round * 3));
        child.kill().expect("killed");
        child.wait().expect("it ended");
        let output = run(folder.path(), &["tags", "history", ".", "--json"]);
        let history: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let done = history.as_array().expect("a list").len();
        let output = run(folder.path(), &["tags", "list", "."]);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mended = captions(folder.path());
        assert_eq!(&mended, if done == 1 { &after } else { &before });
        if done == 1 {
            let output = run(folder.path(), &["tags", "undo", "."]);
            assert!(output.status.success(), "{}", text(&output.stderr));
            assert_eq!(captions(folder.path()), before);
            let output = run(folder.path(), &["tags", "history", ".", "--clear"]);
            assert!(output.status.success(), "{}", text(&output.stderr));
        }
    }
}
