//! Runs that wait for their turn, and what becomes of them when the program is stopped or killed.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{program::text, small_run::Place};

/// `lora queue` with its folder in the place.
fn queue(place: &Place, arguments: &[&str]) -> Command {
    let mut command = place.program();
    command.arg("queue").args(arguments).args(["--queue", "q"]);
    command
}

fn done(place: &Place, arguments: &[&str]) -> Output {
    queue(place, arguments).output().expect("a process")
}

/// What it prints, where it has to succeed.
fn told(place: &Place, arguments: &[&str]) -> String {
    let output = done(place, arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

/// Adds the run three times, each with a folder and a seed of its own.
fn add_three(place: &Place) {
    for number in ["1", "2", "3"] {
        let folder = format!("output.folder=queued {number}");
        let seed = format!("train.seed={number}");
        told(
            place,
            &["add", "run.toml", "--set", &folder, "--set", &seed],
        );
    }
}

/// What becomes of the same runs outside a queue.
fn unqueued(place: &Place) -> Vec<Vec<(String, Vec<u8>)>> {
    let run = |number: &str| {
        let out = format!("plain {number}");
        let mut command = place.command(&out);
        command.args(["--set", &format!("train.seed={number}")]);
        assert!(command.output().expect("a process").status.success());
        place.files(&out)
    };
    ["1", "2", "3"].map(run).to_vec()
}

fn statuses(place: &Place) -> Vec<String> {
    let list: Value = serde_json::from_str(&told(place, &["list", "--json"])).expect("JSON");
    let entries = list["entries"].as_array().expect("a list");
    entries
        .iter()
        .map(|entry| entry["status"].as_str().expect("a word").to_owned())
        .collect()
}

/// Waits until `holds`, at most a minute.
fn wait_until(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_mins(1), "it never came");
        thread::sleep(Duration::from_millis(5));
    }
}

fn spawned(command: &mut Command) -> Child {
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("a process")
}

fn has_checkpoint(folder: &Path) -> bool {
    let files = fs::read_dir(folder.join("checkpoints"));
    files
        .into_iter()
        .flatten()
        .flatten()
        .any(|file| file.file_name().to_string_lossy().ends_with(".state"))
}

#[test]
fn runs_that_are_killed_on_the_way_end_with_the_files_that_they_have_outside_a_queue() {
    let place = Place::new();
    add_three(&place);
    assert_eq!(statuses(&place), ["waiting"; 3]);
    // Killed in each of the three, once it has something to go on from.
    for number in 1..=3 {
        let mut child = spawned(&mut queue(&place, &["run"]));
        let folder = place.out(&format!("queued {number}"));
        wait_until(|| has_checkpoint(&folder));
        child.kill().expect("killed");
        child.wait().expect("it ends");
        let now = statuses(&place);
        let is = now[number - 1].as_str();
        assert!(is == "interrupted" || is == "done", "{number}: {now:?}");
        assert!(now[..number - 1].iter().all(|status| status == "done"));
        assert!(now[number..].iter().all(|status| status == "waiting"));
    }
    let output = done(&place, &["run"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(statuses(&place), ["done"; 3]);
    for (number, expected) in (1..).zip(unqueued(&place)) {
        assert_eq!(expected.len(), 3);
        assert_eq!(place.files(&format!("queued {number}")), expected);
    }
    let cleared = told(&place, &["clear"]);
    assert_eq!(cleared, "removed: 1, 2, 3\n");
    assert!(statuses(&place).is_empty());
    // No number is given twice.
    let again = told(&place, &["add", "run.toml", "--set", "output.folder=more"]);
    assert!(again.starts_with("4 "), "{again}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_the_present_run_with_everything_saved_and_leaves_the_rest() {
    let place = Place::new();
    // Long enough that all that follows happens while it trains.
    let long = ["--set", "train.epochs=12"];
    let first = ["add", "run.toml", "--set", "output.folder=long"];
    told(&place, &[&first[..], &long].concat());
    told(&place, &["add", "run.toml", "--set", "output.folder=short"]);
    let child = spawned(&mut queue(&place, &["run"]));
    wait_until(|| has_checkpoint(&place.out("long")));
    let list = told(&place, &["list"]);
    assert!(list.contains("/72, on cpu, process"), "{list}");
    // While it trains, nobody else does, and its entry stays.
    let second = done(&place, &["run"]);
    assert_eq!(second.status.code(), Some(1));
    let said = text(&second.stderr);
    let process = format!("(process {})", child.id());
    assert!(
        said.contains("cpu is busy") && said.contains(&process),
        "{said}"
    );
    let refused = done(&place, &["remove", "1"]);
    assert!(text(&refused.stderr).contains("being trained"));
    // Also where nothing waits for it.
    told(&place, &["remove", "2"]);
    let second = done(&place, &["run"]);
    assert_eq!(second.status.code(), Some(1));
    assert!(text(&second.stderr).contains(&process));
    told(&place, &["add", "run.toml", "--set", "output.folder=short"]);
    let interrupt = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupt.expect("kill is there").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_eq!(statuses(&place), ["stopped", "waiting"]);
    assert!(done(&place, &["run"]).status.success());
    assert_eq!(statuses(&place), ["done"; 2]);
    let mut plain = place.command("plain");
    assert!(
        plain
            .args(long)
            .output()
            .expect("a process")
            .status
            .success()
    );
    let mut files = place.files("long");
    // A run that is stopped saves the step that it is at.
    files.retain(|(name, _)| !name.contains("-step"));
    assert_eq!(files, place.files("plain"));
}

#[test]
fn a_run_that_fails_does_not_keep_the_next_from_its_turn_and_can_be_tried_again() {
    let place = Place::new();
    let good = place.path().join("pictures/2_sks/0.png");
    fs::create_dir_all(place.path().join("others/1_sks")).expect("a folder");
    let other = place.path().join("others/1_sks/0.png");
    fs::copy(&good, &other).expect("copied");
    let set = "dataset.folders=[{ path = 'others' }]";
    told(
        &place,
        &["add", "run.toml", "--set", "output.folder=a", "--set", set],
    );
    told(&place, &["add", "run.toml", "--set", "output.folder=b"]);
    fs::remove_file(&other).expect("removed");
    let output = done(&place, &["run", "--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    let lines = text(&output.stdout);
    let events: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let ends: Vec<&Value> = events
        .iter()
        .filter(|event| event["event"] == "entry_ends")
        .collect();
    assert_eq!(
        (&ends[0]["is"], &ends[1]["is"]),
        (&"failed".into(), &"done".into())
    );
    assert!(ends[0]["error"].as_str().expect("words").contains("others"));
    let last = events.last().expect("a last line");
    assert_eq!((&last["done"], &last["failed"]), (&1.into(), &1.into()));
    assert!(told(&place, &["list"]).contains("failed"));
    assert_eq!(done(&place, &["retry", "2"]).status.code(), Some(1));
    fs::copy(&good, &other).expect("copied");
    assert_eq!(told(&place, &["retry"]), "waiting again: 1\n");
    assert!(done(&place, &["run"]).status.success());
    assert_eq!(statuses(&place), ["done"; 2]);
}

#[test]
fn what_could_not_run_is_told_when_it_is_added_and_what_was_added_is_what_is_run() {
    let place = Place::new();
    let refused = |arguments: &[&str], said: &str| {
        let output = done(&place, arguments);
        assert_eq!(output.status.code(), Some(1));
        let error = text(&output.stderr);
        assert!(error.contains(said), "{error}");
    };
    refused(
        &["add", "run.toml", "--set", "train.epochs=0"],
        "train.epochs is 0",
    );
    refused(
        &["add", "run.toml", "run.toml"],
        "entry 1 of the queue writes to",
    );
    refused(&["remove", "1"], "no entry 1");
    assert!(statuses(&place).is_empty());
    told(&place, &["add", "run.toml", "--set", "train.epochs=1"]);
    refused(&["add", "run.toml"], "set another output.folder");
    refused(&["retry", "1"], "entry 1 is waiting");
    // Edited afterwards: told, and not followed.
    let run_file = place.path().join("run.toml");
    let edited = fs::read_to_string(&run_file).expect("a config");
    fs::write(&run_file, edited.replace("rank = 2", "rank = 0")).expect("written");
    let list = told(&place, &["list"]);
    assert!(list.contains("was edited after it was added"), "{list}");
    let output = done(&place, &["run"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("it is run as it was"));
    let list: Value = serde_json::from_str(&told(&place, &["list", "--json"])).expect("JSON");
    assert_eq!(list["entries"][0]["steps"], 6);
    assert_eq!(list["entries"][0]["run_file_changed"], true);
    // The folder is an earlier run's by now.
    told(&place, &["clear"]);
    fs::write(&run_file, edited).expect("written");
    refused(&["add", "run.toml"], "is there from an earlier run");
    told(
        &place,
        &["add", "run.toml", "--resume", "--set", "train.epochs=1"],
    );
    assert!(told(&place, &["run"]).contains("1 done"));
}

/// A lock of the system says who writes, so that a run that was killed is no obstacle.
#[test]
fn two_runs_in_one_folder_are_refused_by_name_and_a_killed_one_is_no_obstacle() {
    let place = Place::new();
    let mut command = place.command("out");
    let mut first = spawned(command.args(["--set", "train.epochs=30"]));
    wait_until(|| has_checkpoint(&place.out("out")));
    let over = |more: &[&str]| {
        let mut command = place.program();
        command.args(["train", "run.toml", "--set", "output.folder=out"]);
        command.args(more).output().expect("a process")
    };
    let overwrite = ["--set", "output.overwrite=true"];
    for more in [&["--resume", "latest"][..], &overwrite] {
        let second = over(more);
        let said = text(&second.stderr);
        let process = format!("out: another run (process {}) is writing", first.id());
        assert_eq!(second.status.code(), Some(1));
        assert!(said.contains(&process), "{said}");
    }
    assert!(
        first.try_wait().expect("asked").is_none(),
        "it was too short"
    );
    first.kill().expect("killed");
    first.wait().expect("it ends");
    assert!(over(&overwrite).status.success());
}
