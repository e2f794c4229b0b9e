//! The tools over LoRA files, one after the other in a folder.

use std::{fs, path::Path};

use serde_json::Value;

use crate::program::{GOLDEN, LOCON, run, text, transcript, with_filters};

fn golden(name: &str) -> String {
    format!("{GOLDEN}/lora/{name}.safetensors")
}

/// Runs a command that prints a JSON document.
fn document(folder: &Path, arguments: &[&str]) -> Value {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

#[test]
fn each_tool_says_what_it_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let (plain, base) = (golden("tiny-sd15-lora"), format!("{GOLDEN}/tiny-sd15"));
    let cases: &[(&str, &[&str])] = &[
        (
            "convert",
            &["convert", LOCON, "peft.safetensors", "--to", "peft"],
        ),
        (
            "convert_back",
            &[
                "convert",
                "peft.safetensors",
                "out/kohya.safetensors",
                "--dtype",
                "f32",
            ],
        ),
        (
            "resize",
            &["resize", LOCON, "small.safetensors", "--energy", "0.8"],
        ),
        (
            "merge",
            &[
                "merge",
                &format!("{LOCON}:0.5"),
                &plain,
                "-o",
                "sum.safetensors",
            ],
        ),
        (
            "merge_into",
            &[
                "merge",
                "--into",
                &base,
                &format!("{LOCON}:0.8"),
                "-o",
                "merged",
            ],
        ),
        (
            "extract",
            &[
                "extract",
                &base,
                "merged",
                "-o",
                "extracted.safetensors",
                "--rank",
                "4",
                "--conv-rank",
                "2",
            ],
        ),
        (
            "verify",
            &["verify", "extracted.safetensors", "--base", &base],
        ),
        ("verify_peft", &["verify", "peft.safetensors"]),
        (
            "verify_misfit",
            &["verify", &golden("tiny-sdxl-lora"), "--base", &base],
        ),
        ("error_overwrite", &["convert", LOCON, "peft.safetensors"]),
        ("error_no_rank", &["resize", LOCON, "new.safetensors"]),
        (
            "error_families",
            &[
                "merge",
                LOCON,
                &golden("tiny-sdxl-lora"),
                "-o",
                "new.safetensors",
            ],
        ),
        (
            "error_merge_misfit",
            &[
                "merge",
                "--into",
                &base,
                &golden("tiny-sdxl-lora"),
                "-o",
                "new",
            ],
        ),
    ];
    with_filters(|| {
        for (name, arguments) in cases {
            insta::assert_snapshot!(format!("tool_{name}"), transcript(here, arguments));
        }
    });
    assert!(!here.join("new.safetensors").exists() && !here.join("new").exists());
}

#[test]
fn programs_read_what_the_tools_did() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let base = format!("{GOLDEN}/tiny-sd15");

    let converted = document(here, &["convert", LOCON, "a.safetensors", "--json"]);
    let bytes = fs::metadata(here.join("a.safetensors"))
        .expect("a file")
        .len();
    assert_eq!(
        (&converted["layout"], &converted["bytes"]),
        (&Value::from("kohya"), &Value::from(bytes))
    );

    let resized = document(
        here,
        &[
            "resize",
            "a.safetensors",
            "b.safetensors",
            "--rank",
            "2",
            "--json",
        ],
    );
    let modules = resized["modules_resized"].as_object().expect("modules");
    assert_eq!(modules.len(), 307);
    assert!(modules.values().all(|module| module["to"] == 2));

    let merged = document(
        here,
        &[
            "merge",
            "--into",
            &base,
            "a.safetensors",
            "-o",
            "m",
            "--json",
        ],
    );
    assert_eq!(merged["weights"], 307);
    let extracted = document(
        here,
        &[
            "extract",
            &base,
            "m",
            "-o",
            "c.safetensors",
            "--rank",
            "4",
            "--json",
        ],
    );
    let modules = extracted["modules_extracted"].as_object().expect("modules");
    assert_eq!(modules.len(), 222);

    let verified = document(
        here,
        &["verify", "c.safetensors", "--base", &base, "--json"],
    );
    assert_eq!(
        (&verified["usable"], &verified["base"]["family"]),
        (&Value::from(true), &Value::from("sd1"))
    );
}

#[test]
fn force_replaces_a_file_and_a_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path();
    let base = format!("{GOLDEN}/tiny-sd15");
    fs::write(here.join("a.safetensors"), "old").expect("written");
    assert!(
        run(here, &["convert", LOCON, "a.safetensors", "--force"])
            .status
            .success()
    );
    assert!(
        fs::metadata(here.join("a.safetensors"))
            .expect("a file")
            .len()
            > 1000
    );

    fs::create_dir(here.join("m")).expect("made");
    fs::write(here.join("m/old.txt"), "old").expect("written");
    let merge = ["merge", "--into", base.as_str(), LOCON, "-o", "m"];
    assert!(!run(here, &merge).status.success());
    assert!(here.join("m/old.txt").exists());
    assert!(
        run(here, &[&merge[..], &["--force"]].concat())
            .status
            .success()
    );
    assert!(!here.join("m/old.txt").exists() && here.join("m/unet/config.json").exists());
    assert_eq!(fs::read_dir(here).expect("a folder").count(), 2);
}
