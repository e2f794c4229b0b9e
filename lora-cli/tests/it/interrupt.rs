#![cfg(unix)]

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use crate::program::{lora, run, text, training_folder};

/// Ctrl-C in the middle of an epoch: the step is finished, a file of it saved, the report written, the code 130.
#[test]
fn ctrl_c_saves_and_ends_with_130() {
    let (folder, path) = training_folder();
    let mut child = lora(folder.path())
        .args([
            "train",
            &path.display().to_string(),
            "--json",
            "--device",
            "cpu",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let event =
        |line: String| serde_json::from_str::<serde_json::Value>(&line).expect("a line of JSON");
    let mut events = lines.by_ref().map(|line| event(line.expect("a line")));
    let started = events
        .find(|event| event["event"] == "started")
        .expect("it starts");
    assert_eq!(started["modules"], 96);
    events
        .find(|event| event["event"] == "stepped")
        .expect("it steps");
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill is there").success());
    let rest: Vec<_> = events.collect();
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));

    let finished = rest.last().expect("a last event");
    assert_eq!(finished["event"], "finished");
    assert_eq!(finished["stopped"], true);
    let steps = finished["steps"].as_u64().expect("a number");
    assert!((1..300).contains(&steps), "{steps} steps");
    let file = folder
        .path()
        .join(format!("out/blueprint-step{steps:08}.safetensors"));
    let inspected = run(
        folder.path(),
        &["inspect", &file.display().to_string(), "--json"],
    );
    let inspected: serde_json::Value = serde_json::from_slice(&inspected.stdout).expect("JSON");
    assert_eq!(inspected["metadata"]["ss_steps"], steps.to_string());
    assert_eq!(inspected["hashes"][0]["holds"], true);
    for name in [
        "report.json",
        "index.html",
        "loss.png",
        "metrics.jsonl",
        "resolved.toml",
    ] {
        assert!(folder.path().join("out").join(name).is_file(), "no {name}");
    }
    assert!(
        text(&output.stderr).contains("saving"),
        "{}",
        text(&output.stderr)
    );
}
