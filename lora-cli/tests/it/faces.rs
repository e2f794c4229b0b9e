use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
#[cfg(unix)]
use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

#[cfg(unix)]
use crate::program::lora;
use crate::program::{run, text, transcript, with_filters};

/// The photographs of lora-data's tests.
const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lora-data/tests/pictures");

/// A folder with two photographs, one of them with a face and a caption, and a file that is no picture.
fn dataset() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let pictures = folder.path().join("set/10_sks woman");
    fs::create_dir_all(&pictures).expect("a folder");
    for name in ["astronaut.png", "coffee.png"] {
        fs::copy(Path::new(PICTURES).join(name), pictures.join(name)).expect("a copy");
    }
    fs::write(
        pictures.join("astronaut.txt"),
        "sks woman, upper body, orange suit",
    )
    .expect("a caption");
    (folder, pictures)
}

fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path
                    .strip_prefix(root)
                    .expect("within")
                    .display()
                    .to_string();
                files.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

#[test]
fn faces_are_cut_out_beside_the_pictures_and_a_second_run_changes_nothing() {
    let (folder, _) = dataset();
    let before = files(folder.path());
    let arguments = ["faces", "set", "--min-size", "40", "--repeats", "4"];
    with_filters(|| {
        let dry = [&arguments[..], &["--dry-run"]].concat();
        insta::assert_snapshot!("faces_dry_run", transcript(folder.path(), &dry));
        assert_eq!(files(folder.path()), before);
        insta::assert_snapshot!("faces", transcript(folder.path(), &arguments));
    });
    let after = files(folder.path());
    let caption = &after["set/4_sks woman_face/astronaut_face1.txt"];
    assert_eq!(text(caption), "sks woman, orange suit, close-up\n");
    assert!(after.contains_key("set/4_sks woman_face/astronaut_face1.png"));
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes));
    let again = run(folder.path(), &arguments);
    assert!(again.status.success());
    assert_eq!(files(folder.path()), after);
}

#[test]
fn a_program_can_read_what_was_found() {
    let (folder, _) = dataset();
    let output = run(
        folder.path(),
        &[
            "faces",
            "set",
            "--json",
            "--caption-add",
            "face",
            "--size",
            "64",
        ],
    );
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let face = &report["pictures"][0]["faces"][0];
    assert_eq!(face["outcome"], "too_small");
    assert!(face["face"]["score"].as_f64().expect("a number") > 0.9);
    assert_eq!(report["pictures"][1]["faces"], serde_json::json!([]));
    let output = run(
        folder.path(),
        &["faces", "set", "--json", "--min-size", "1", "--size", "64"],
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        report["pictures"][0]["faces"][0]["size"],
        serde_json::json!([64, 64])
    );
    assert_eq!(report["folders"][0]["crops"], 1);
}

#[test]
fn a_broken_picture_is_told_and_ends_with_1_after_the_others_are_done() {
    let (folder, pictures) = dataset();
    fs::write(pictures.join("broken.jpg"), b"no picture").expect("a file");
    with_filters(|| {
        let told = transcript(folder.path(), &["faces", "set", "--min-size", "40"]);
        insta::assert_snapshot!("faces_broken", told);
    });
    assert!(
        folder
            .path()
            .join("set/10_sks woman_face/astronaut_face1.png")
            .is_file()
    );
}

#[test]
fn what_cannot_be_is_told_in_words() {
    let (folder, pictures) = dataset();
    fs::write(folder.path().join("model.onnx"), b"no model").expect("a file");
    with_filters(|| {
        let runs = [
            vec!["faces", "nowhere"],
            vec!["faces", "set", "--model", "model.onnx"],
            vec!["faces", "set", "--model", "missing.onnx"],
            vec!["faces", "set", "--score", "2"],
            vec!["faces", "set", "--sides", "9"],
            vec!["faces", "set", "--margin=-1"],
            vec!["faces", "set", "--enlarge"],
            vec!["faces", "set", "--size", "64", "--aspect", "2x3"],
        ];
        let told = runs.iter().map(|arguments| {
            format!(
                "$ lora {}\n{}",
                arguments.join(" "),
                transcript(folder.path(), arguments)
            )
        });
        insta::assert_snapshot!("faces_errors", told.collect::<Vec<_>>().join("\n"));
    });
    assert!(pictures.is_dir());
}

/// Ctrl-C in the middle: what has begun is finished, the code is 130, and the next run goes on to the same files.
#[cfg(unix)]
#[test]
fn ctrl_c_stops_between_pictures_and_the_next_run_goes_on() {
    const COPIES: usize = 200;
    let (folder, pictures) = dataset();
    for number in 0..COPIES {
        let copy = pictures.join(format!("{number:03}.png"));
        fs::copy(pictures.join("astronaut.png"), copy).expect("a copy");
    }
    let arguments = ["faces", "set/10_sks woman", "--min-size", "40", "--json"];
    let child = lora(folder.path())
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let crops = folder.path().join("set/10_sks woman_face");
    while !crops.is_dir() {
        thread::sleep(Duration::from_millis(1));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill is there").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["stopped"], true);
    let done = report["folders"][0]["crops"].as_u64().expect("a number") as usize;
    assert!(done <= COPIES, "{done} crops");
    // A crop, its caption, and the record; nothing half written.
    assert_eq!(files(&crops).len(), 2 * done + 1);

    let output = run(folder.path(), &arguments);
    assert!(output.status.success());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report["folders"][0]["crops"], COPIES + 1);
    let unchanged = report["pictures"].as_array().expect("a list").iter();
    let unchanged = unchanged.filter(|picture| picture["outcome"] == "unchanged");
    assert!(unchanged.count() >= done);
}
