use serde_json::Value;

use crate::program::{MINI, run, text};

fn json(arguments: &[&str]) -> Value {
    let folder = tempfile::tempdir().expect("a folder");
    let output = run(folder.path(), arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn loading_a_model_is_measured() {
    let base = format!("{MINI}/base");
    let report = json(&[
        "bench",
        "load",
        &base,
        "--precision",
        "f16",
        "--device",
        "cpu",
        "--json",
    ]);
    assert_eq!(report["family"], "sd1");
    assert_eq!(report["device"], "cpu");
    let parameters = &report["parameters"];
    let all: u64 = ["text_encoders", "unet", "vae"]
        .iter()
        .filter_map(|part| parameters[part].as_u64())
        .sum();
    assert_eq!(report["model_bytes"], 2 * all);
    assert!(
        report["seconds"]
            .as_f64()
            .is_some_and(|seconds| seconds > 0.0)
    );
    assert!(report["file_bytes"].is_null(), "a folder has no one length");
}

#[test]
fn a_model_is_made_up_where_there_is_none() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/tiny-sdxl");
    let folder = tempfile::tempdir().expect("a folder");
    let made = folder.path().join("made.safetensors");
    let made = made.to_str().expect("UTF-8");
    let output = run(
        folder.path(),
        &[
            "bench", "load", "--config", golden, "--write", made, "--device", "cpu",
        ],
    );
    let told = text(&output.stdout);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(
        told.contains("SDXL: ") && told.contains("peak in RAM"),
        "{told}"
    );
    assert!(text(&output.stderr).contains("of seeded weights"));
    // It is a model like any other, and is loaded as such.
    let report = json(&[
        "bench", "load", made, "--config", golden, "--device", "cpu", "--json",
    ]);
    assert_eq!(report["family"], "sdxl");
}

/// All combinations, with everything that docs/bench-format.md tells of and nothing else.
#[test]
fn steps_are_measured_and_told_as_documented() {
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/tiny-sd15");
    let measured = |more: &[&str]| {
        let mut arguments = vec![
            "bench", "step", "--config", golden, "--size", "64,128", "--device", "cpu", "--json",
        ];
        arguments.extend(["--steps", "2", "--peak-tflops", "0.1"]);
        arguments.extend(more);
        json(&arguments)
    };
    let document = measured(&["--batch", "1,2", "--precision", "f32,bf16"]);
    assert_eq!(document["format"], 1);
    let rows = document["steps"].as_array().expect("rows");
    assert_eq!(rows.len(), 8);
    for row in rows {
        let number = |key: &str| row[key].as_f64().unwrap_or_default();
        let (median, tflop) = (number("median"), number("tflop"));
        assert!((number("tflops") - tflop / median).abs() < 1e-9, "{row}");
        assert!((number("of_peak") - number("tflops") / 0.1).abs() < 1e-9);
        assert_eq!(row["seconds"].as_array().map(Vec::len), Some(2));
        assert!(number("loss") > 0.0 && number("trained") > 1000.0);
    }
    // Four pictures' worth of a picture twice as wide and high, and a little more for attention.
    let of_size = |size: u64| rows.iter().find(|row| row["size"] == size);
    let tflop = |size| of_size(size).and_then(|row| row["tflop"].as_f64());
    let ratio = tflop(128).expect("measured") / tflop(64).expect("measured");
    assert!((4.0..6.0).contains(&ratio), "{ratio}");

    let page = include_str!("../../../docs/bench-format.md");
    let documented: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .collect();
    let row = rows[0].as_object().expect("an object");
    let told: Vec<&String> = document
        .as_object()
        .expect("an object")
        .keys()
        .chain(row.keys())
        .collect();
    for name in &told {
        assert!(
            documented.contains(&name.as_str()),
            "{name} is not documented"
        );
    }
    for name in documented {
        assert!(told.iter().any(|key| *key == name), "{name} is not told");
    }

    let eight = measured(&["--eight-bit", "--checkpointing", "block,aggressive"]);
    let rows = eight["steps"].as_array().expect("rows");
    assert!(rows.len() == 4 && rows.iter().all(|row| row["eight_bit"] == true));
}

#[test]
fn eight_bits_without_checkpointing_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/tiny-sd15");
    let arguments = [
        "bench",
        "step",
        "--config",
        golden,
        "--size",
        "64",
        "--eight-bit",
        "--device",
        "cpu",
    ];
    let output = run(folder.path(), &arguments);
    assert!(!output.status.success());
    let told = text(&output.stderr);
    assert!(
        told.contains("use checkpointing block or aggressive"),
        "{told}"
    );
}
