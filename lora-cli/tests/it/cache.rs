use std::{
    fs,
    path::Path,
    process::{Child, Stdio},
    thread,
    time::Duration,
};

use crate::program::{lora, run, text, training_folder, transcript, with_filters};

/// What a cache is built for, on the CPU and with text encoders that are not trained.
const BUILD: [&str; 8] = [
    "build",
    "run.toml",
    "--set",
    "train.text_lr=0",
    "--device",
    "cpu",
    "--set",
    "cache.folder=cache",
];

fn building(folder: &Path) -> Child {
    lora(folder)
        .arg("cache")
        .args(BUILD)
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// Latents found and made by a build.
fn built(folder: &Path) -> (u64, u64) {
    counts(building(folder))
}

fn counts(child: Child) -> (u64, u64) {
    let output = child.wait_with_output().expect("ends");
    assert!(output.status.success());
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let count = |what: &str| told["latents"][what].as_u64().expect("a number");
    (count("found"), count("made"))
}

#[test]
fn a_cache_is_built_checked_and_pruned() {
    let (folder, _) = training_folder();
    let path = folder.path();
    let cache = |arguments: &[&str]| {
        let all: Vec<&str> = ["cache"].iter().chain(arguments).copied().collect();
        transcript(path, &all)
    };
    with_filters(|| {
        insta::assert_snapshot!("cache_none", cache(&["build", "run.toml"]));
        insta::assert_snapshot!("cache_missing", cache(&["check", "cache"]));
        insta::assert_snapshot!("cache_build", cache(&BUILD));
        insta::assert_snapshot!("cache_build_again", cache(&BUILD));
        insta::assert_snapshot!("cache_check", cache(&["check", "cache"]));
        insta::assert_snapshot!(
            "cache_prune",
            cache(&["prune", "cache", "--all", "--dry-run"])
        );
    });
    let latents = path.join("cache/latents");
    let shard = fs::read_dir(latents).unwrap().next().unwrap().unwrap();
    let entry = fs::read_dir(shard.path()).unwrap().next().unwrap().unwrap();
    fs::write(entry.path(), "damaged").unwrap();
    let check = run(path, &["cache", "check", "cache", "--json"]);
    assert_eq!(check.status.code(), Some(1));
    let told: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    let reason = told["damaged"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains(&*entry.file_name().to_string_lossy()),
        "{reason}"
    );
    let pruned = run(path, &["cache", "prune", "cache"]);
    assert!(text(&pruned.stdout).starts_with("1 removed"));
    assert_eq!(
        run(path, &["cache", "check", "cache"]).status.code(),
        Some(0)
    );
}

#[test]
fn two_programs_at_once_fill_a_cache_that_is_sound() {
    let (folder, _) = training_folder();
    let path = folder.path();
    let both = [building(path), building(path)].map(counts);
    let total = both[0].0 + both[0].1;
    assert!(total > 0 && both.iter().all(|(found, made)| found + made == total));
    assert_eq!(built(path), (total, 0));
    assert_eq!(
        run(path, &["cache", "check", "cache"]).status.code(),
        Some(0)
    );
}

#[test]
fn a_killed_program_leaves_no_half_entry() {
    let (folder, _) = training_folder();
    let path = folder.path();
    for tenths in 1..=6 {
        let mut child = building(path);
        thread::sleep(Duration::from_millis(100 * tenths));
        child.kill().unwrap();
        child.wait().unwrap();
        if path.join("cache/CACHEDIR.TAG").exists() {
            let check = run(path, &["cache", "check", "cache"]);
            assert_eq!(check.status.code(), Some(0), "{}", text(&check.stdout));
        }
    }
    let (found, made) = built(path);
    assert_eq!(built(path), (found + made, 0));
}
