use std::{
    fs,
    path::{Path, PathBuf},
};

use lora_train::picture::png::read_parameters;
use serde_json::Value;
use tempfile::TempDir;

use crate::program::{MINI, run, text, training_folder, transcript, with_filters};

/// A folder with `out/`: the files of a run of two steps, each an epoch.
fn trained() -> TempDir {
    let (folder, path) = training_folder();
    let folders = format!("dataset.folders=[{{path='{MINI}/style', repeats=1}}]");
    let train = [
        "train",
        &path.display().to_string(),
        "--set",
        &folders,
        "--set",
        "train.batch_size=24",
        "--set",
        "train.epochs=2",
        "-q",
    ];
    let trained = run(folder.path(), &train);
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    folder
}

/// Draws a grid of one-step pictures; gives what `--json` says.
fn grid(folder: &Path, arguments: &[&str]) -> Value {
    let base = base();
    let all = ["grid", "-m", &base, "-s", "1", "--json", "-q"];
    let output = run(folder, &[&all[..], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn base() -> String {
    format!("{MINI}/base")
}

fn counts(document: &Value) -> (u64, u64) {
    let count = |key: &str| document[key].as_u64().expect("a number");
    (count("drawn"), count("kept"))
}

#[test]
fn a_folder_makes_epochs_by_strengths_and_goes_on_where_it_was() {
    let folder = trained();
    let here = folder.path();
    let draw = |strengths: &str, fresh: &[&str]| {
        let arguments = ["out", "-p", "a cat", "--strengths", strengths];
        grid(here, &[&arguments[..], fresh].concat())
    };
    let document = draw("0,-1,1", &[]);
    // The last file has the weights of the second epoch's: two columns, of which the first row is the same.
    assert_eq!(counts(&document), (5, 0));
    let sheet = &document["sheets"][0];
    assert_eq!(sheet["columns"], serde_json::json!(["epoch 1", "epoch 2"]));
    assert_eq!(
        sheet["rows"],
        serde_json::json!(["strength 0 (base model)", "strength -1", "strength 1"])
    );
    let page = fs::read_to_string(here.join("grid.html")).expect("a page");
    for part in [
        ">epoch 1<",
        ">strength -1<",
        "a cat &lt;lora:blueprint-000002:1&gt;",
        "Lora hashes: &quot;blueprint-000002: ",
    ] {
        assert!(page.contains(part), "no {part}");
    }
    let png = fs::read(here.join("grid.png")).expect("a sheet");
    let picture = image::load_from_memory(&png).expect("a picture");
    assert!(picture.width() > 2 * 128 && picture.height() > 3 * 128);
    let settings = read_parameters(&png).expect("a PNG").expect("settings");
    assert!(
        settings.contains("Script: X/Y/Z plot, X Type: LoRA file"),
        "{settings}"
    );
    let cells = fs::read_dir(here.join("grid.cells")).expect("a folder");
    assert_eq!(cells.count(), 5 + 1, "the pictures and the plan");

    assert_eq!(counts(&draw("0,-1,1", &[])), (0, 5));
    assert_eq!(fs::read(here.join("grid.png")).expect("a sheet"), png);
    assert_eq!(counts(&draw("0,0.5,1", &[])), (2, 3));
    assert_eq!(counts(&draw("0,0.5,1", &["--fresh"])), (5, 0));
}

#[test]
fn any_two_axes_and_a_third() {
    let folder = trained();
    let here = folder.path();
    let file = "out/blueprint.safetensors";
    let document = grid(
        here,
        &[
            file,
            "-p",
            "a red cat",
            "--x",
            "seed=1-3",
            "--y",
            "cfg=1-3 (+2)",
            "--z",
            "sr=red,blue",
            "-o",
            "deep/three.png",
        ],
    );
    assert_eq!(counts(&document), (12, 0));
    let sheets = document["sheets"].as_array().expect("a list");
    let paths = sheets
        .iter()
        .map(|sheet| sheet["png"].as_str().expect("a path"));
    assert_eq!(
        paths.collect::<Vec<_>>(),
        ["deep/three-1.png", "deep/three-2.png"]
    );
    assert_eq!(sheets[1]["rows"], serde_json::json!(["CFG 1", "CFG 3"]));
    assert_eq!(document["html"], "deep/three.html");

    let named = grid(
        here,
        &[
            "out",
            "-p",
            "a cat <lora:blueprint-NUM:STRENGTH>",
            "--x",
            "sr=NUM,000001,000002",
            "--y",
            "sr=STRENGTH,0,1",
        ],
    );
    assert_eq!(counts(&named), (3, 0));
    assert_eq!(
        named["sheets"][0]["columns"],
        serde_json::json!(["000001", "000002"])
    );
}

#[test]
fn mistakes_are_told_before_the_model_is_loaded() {
    let folder = trained();
    let here = folder.path();
    let base = base();
    let cases: &[(&str, &[&str])] = &[
        ("unknown_axis", &["--x", "sed=1-4"]),
        ("bad_values", &["--x", "seed=1-4", "--y", "cfg=low"]),
        ("not_in_prompt", &["-p", "a cat", "--x", "sr=fox,dog"]),
        ("no_files", &["-p", "a cat"]),
        (
            "files_on_no_axis",
            &["out", "-p", "a cat", "--x", "seed=1,2"],
        ),
        (
            "unknown_lora",
            &[
                "out",
                "--x",
                "sr=NUM,000001,000009",
                "-p",
                "a <lora:blueprint-NUM:1>",
            ],
        ),
    ];
    with_filters(|| {
        for (name, arguments) in cases {
            let all = ["grid", "-m", &base];
            let transcript = transcript(here, &[&all[..], arguments].concat());
            assert!(!transcript.contains("device"), "{transcript}");
            insta::assert_snapshot!(format!("error_grid_{name}"), transcript);
        }
    });
}

/// Ctrl-C: the pictures so far make a sheet, the code is 130, and the same command goes on.
#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_sheet_that_the_same_command_completes() {
    use std::{
        io::{BufRead, BufReader},
        process::{Command, Stdio},
    };

    let folder = tempfile::tempdir().expect("a folder");
    let base = base();
    let arguments = [
        "grid",
        "-m",
        &base,
        "-p",
        "a cat",
        "-s",
        "2",
        "-l",
        "1",
        "--x",
        "seed=1-160",
        "--json",
    ];
    let mut child = crate::program::lora(folder.path())
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    lines
        .by_ref()
        .map(|line| line.expect("a line"))
        .find(|line| line.starts_with("picture "))
        .expect("it draws");
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill is there").success());
    let rest: Vec<String> = lines.map(|line| line.expect("a line")).collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{rest:?}");
    assert!(
        rest.last()
            .is_some_and(|line| line.contains("the same command goes on"))
    );
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["stopped"], true);
    let (drawn, _) = counts(&document);
    assert!((1..160).contains(&drawn), "{drawn} pictures");
    let sheet = PathBuf::from(document["png"].as_str().expect("a path"));
    image::open(folder.path().join(sheet)).expect("a sheet");
    let page = fs::read_to_string(folder.path().join("grid.html")).expect("a page");
    assert!(page.contains(&format!("{drawn} of 160 pictures so far")));

    let again = run(folder.path(), &arguments);
    assert!(again.status.success(), "{}", text(&again.stderr));
    let document: Value = serde_json::from_slice(&again.stdout).expect("JSON");
    assert_eq!(counts(&document), (160 - drawn, drawn));
}
