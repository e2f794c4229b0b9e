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
