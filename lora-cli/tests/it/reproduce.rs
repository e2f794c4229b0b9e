use std::fs;

use serde_json::Value;

use crate::{program::text, small_run::Place};

fn reproduced(place: &Place, arguments: &[&str]) -> (Option<i32>, Value, String) {
    // Not at the time of the first run, and with another number of threads.
    let mut command = place.program();
    command
        .env_remove("SOURCE_DATE_EPOCH")
        .env("RAYON_NUM_THREADS", "3")
        .args(["reproduce", "first", "--json"])
        .args(arguments);
    let output = command.output().expect("a process");
    let comparison = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), comparison, text(&output.stderr))
}

#[test]
fn a_run_is_made_again_from_its_folder_to_the_byte() {
    let place = Place::new();
    assert!(place.run("first").status.success());
    // Neither run file nor resolved config are needed.
    fs::remove_file(place.path().join("run.toml")).expect("removed");
    fs::remove_file(place.out("first").join("resolved.toml")).expect("removed");
    let (code, comparison, errors) = reproduced(&place, &[]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(comparison["equal"], true);
    let files = comparison["files"].as_array().expect("a list");
    let names: Vec<_> = files.iter().map(|file| &file["name"]).collect();
    let expected = [
        "thing-000001.safetensors",
        "thing-000002.safetensors",
        "thing.safetensors",
    ];
    assert_eq!(names, expected);
    assert_eq!(place.files("first-again"), place.files("first"));
    let threads = comparison["environment"].as_array().expect("a list");
    let differs = threads
        .iter()
        .any(|difference| difference["what"] == "threads" && difference["now"] == "3");
    assert!(differs, "{threads:?}");
}

#[test]
fn what_is_not_equal_is_told_file_by_file() {
    let place = Place::new();
    assert!(place.run("first").status.success());
    let ledger = place.out("first").join("ledger.toml");
    let told = fs::read_to_string(&ledger).expect("a ledger");
    let hash = told
        .lines()
        .find_map(|line| line.strip_prefix("sha256 = \""))
        .expect("a hash");
    let other = told.replace(hash, &format!("{}\"", "0".repeat(64)));
    fs::write(&ledger, other).expect("written");
    // And a file that somebody changed since.
    fs::write(place.out("first").join("thing.safetensors"), "x").expect("written");
    let (code, comparison, errors) = reproduced(&place, &["--output", "second"]);
    assert_eq!(code, Some(1), "{errors}");
    assert_eq!(comparison["equal"], false);
    let files = comparison["files"].as_array().expect("a list");
    let of = |name: &str| {
        files
            .iter()
            .map(|file| file[name].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(of("equal"), [false, true, true]);
    assert_eq!(of("untouched"), [false, true, false]);
}

#[test]
fn a_run_whose_sources_have_changed_is_refused_with_what_differs() {
    let place = Place::new();
    assert!(place.run("first").status.success());
    fs::write(place.path().join("pictures/2_sks/0.txt"), "another caption").expect("written");
    let (code, _, errors) = reproduced(&place, &[]);
    assert_eq!(code, Some(1));
    assert!(
        errors.contains("first: what the run was made from has changed")
            && errors.contains("pictures, captions or repeats are not what they were"),
        "{errors}"
    );
    assert!(!place.out("first-again").exists());
}

#[test]
fn a_run_that_is_not_at_its_end_or_was_changed_on_the_way_is_refused() {
    let place = Place::new();
    let mut short = place.command("first");
    // Killed after its first checkpoint.
    short.env("ATOMIC_FILE_FAULT", "kill:22");
    assert!(!short.output().expect("a process").status.success());
    let (code, _, errors) = reproduced(&place, &[]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("was not at its end"), "{errors}");
    let mut changed = place.command("first");
    changed.args(["--allow-change", "--set", "train.unet_lr=5e-4"]);
    assert!(changed.output().expect("a process").status.success());
    let (code, _, errors) = reproduced(&place, &[]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("--allow-change"), "{errors}");
}

#[test]
fn a_run_that_went_on_after_a_kill_is_made_again_as_well() {
    let place = Place::new();
    let mut killed = place.command("first");
    killed.env("ATOMIC_FILE_FAULT", "kill:30");
    assert!(!killed.output().expect("a process").status.success());
    assert!(place.run("first").status.success());
    let (code, comparison, errors) = reproduced(&place, &[]);
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(comparison["equal"], true);
}
