use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;

use crate::program::{run, text};

/// The first command that anybody types, with fewer steps: it must learn, and everything it promises must be there.
#[test]
fn a_short_quickstart_learns_and_leaves_everything_behind() {
    let parent = tempfile::tempdir().expect("a folder");
    let output = run(
        parent.path(),
        &["quickstart", "--steps", "40", "--device", "cpu", "--json"],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let folder = parent.path().join("quickstart");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(report, json(&folder.join("report.json")));

    // The base's loss is PyTorch's (assets/mini/README.md) and forty steps take a good part of it away.
    let loss = |key: &str| report[key].as_f64().expect("a number");
    let (before, after) = (loss("heldout_loss_before"), loss("heldout_loss_after"));
    assert!((before - 0.2175).abs() < 5e-4, "{before}");
    assert!(after < 0.6 * before, "{before} → {after}");
    assert_eq!(report["steps"], 40);
    assert!(loss("steps_per_second") > 0.0 && loss("seconds") > 0.0);

    let files: Vec<&str> = report["files"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    assert_eq!(files.len(), 2);
    assert!(files.contains(&report["best_file"].as_str().expect("a name")));
    for (index, name) in files.iter().enumerate() {
        let inspected = run(&folder, &["inspect", name, "--json"]);
        let inspected: Value = serde_json::from_slice(&inspected.stdout).expect("JSON");
        assert_eq!(inspected["metadata"]["ss_epoch"], (index + 1).to_string());
        assert_eq!(inspected["metadata"]["ss_network_dim"], "16");
        assert!(
            inspected["hashes"]
                .as_array()
                .expect("a list")
                .iter()
                .all(|hash| hash["holds"] == true)
        );
    }
    // Different epochs, different files; the last is the last epoch's.
    let hashes: BTreeSet<_> = files.iter().map(|name| model_hash(&folder, name)).collect();
    assert_eq!(hashes.len(), 2);
    assert_eq!(
        model_hash(&folder, "blueprint.safetensors"),
        model_hash(&folder, files[1])
    );

    for name in [
        "loss.png",
        "loss-by-timestep.png",
        "previews.png",
        "metrics.csv",
        "tensorboard/events.out.tfevents.0.lora",
        "grid.png",
        "index.html",
        "run.toml",
        "resolved.toml",
        "mini/base/README.md",
    ] {
        assert!(
            fs::metadata(folder.join(name)).is_ok_and(|file| file.len() > 500),
            "no {name}"
        );
    }
    let page = fs::read_to_string(folder.join("index.html")).expect("a page");
    // Two files at five strengths with two prompts, the curve, and two previews of two prompts.
    assert!(page.matches("data:image/").count() >= 2 * 5 * 2 + 1 + 2 * 2);
    assert_eq!(
        fs::read_dir(folder.join("previews"))
            .expect("a folder")
            .count(),
        2 * 2
    );
    let metrics = fs::read_to_string(folder.join("metrics.jsonl")).expect("a file");
    let last: Value = serde_json::from_str(metrics.lines().last().expect("lines")).expect("JSON");
    assert_eq!(
        (last["event"].as_str(), last["steps"].as_u64()),
        (Some("finished"), Some(40))
    );
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON")
}

fn model_hash(folder: &Path, name: &str) -> String {
    let inspected = run(folder, &["inspect", name, "--json"]);
    let inspected: Value = serde_json::from_slice(&inspected.stdout).expect("JSON");
    inspected["metadata"]["sshs_model_hash"]
        .as_str()
        .expect("a hash")
        .to_owned()
}
