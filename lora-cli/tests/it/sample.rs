use std::{fs, path::Path};

use lora_core::lora_file::LoraFile;
use lora_train::picture::png::read_parameters;

use crate::program::{MINI, run, text, training_folder};

/// Trains two steps, then draws with and without the file, and compares.
#[test]
fn pictures_carry_their_settings_and_the_lora_shows() {
    let (folder, path) = training_folder();
    let here = folder.path();
    let train = [
        "train",
        &path.display().to_string(),
        "--set",
        "train.max_steps=2",
        "-q",
    ];
    let trained = run(here, &train);
    assert!(trained.status.success(), "{}", text(&trained.stderr));
    assert_eq!(text(&trained.stderr), "", "quiet means quiet");

    let model = format!("{MINI}/base");
    let draw = |lora: &str, out: &str| {
        let arguments = [
            "sample",
            "-m",
            &model,
            "--lora",
            lora,
            "-s",
            "2",
            "-l",
            "3",
            "-d",
            "7",
            "-o",
            out,
            "a cat --n dog",
            "-q",
        ];
        let output = run(here, &arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let listed = text(&output.stdout);
        fs::read(here.join(listed.trim())).expect("the picture it named")
    };
    let off = draw("out/blueprint.safetensors:0", "off.png");
    let on = draw("out/blueprint.safetensors:30", "pictures");
    let again = draw("out/blueprint.safetensors:30", "pictures");
    assert!(
        here.join("pictures/00002.png").is_file(),
        "pictures are numbered on"
    );
    assert_eq!(on, again, "the same seed gives the same picture");
    let hash = hash_of(&here.join("out/blueprint.safetensors"));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        read_parameters(&on).expect("a PNG"),
        Some(format!(
            "a cat <lora:blueprint:30>\nNegative prompt: dog\n\
             Steps: 2, Sampler: DDIM, Schedule type: Automatic, CFG scale: 3, Seed: 7, Size: 64x64, Model: base, \
             Lora hashes: \"blueprint: {hash}\", Version: lora {version}"
        ))
    );
    let pixels = |bytes: &[u8]| {
        image::load_from_memory(bytes)
            .expect("a picture")
            .into_rgb8()
    };
    assert_eq!(pixels(&on).dimensions(), (64, 64), "the model's own size");
    assert_ne!(pixels(&on), pixels(&off));
}

/// What a run would note of its model, pictures drawn from it are told too.
#[test]
fn what_may_not_be_expected_of_the_model_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = format!("{MINI}/base");
    let draw = |option: &str| {
        let arguments = [
            "sample", "-m", &model, option, "-s", "1", "-l", "1", "a cat",
        ];
        let output = run(folder.path(), &arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stderr)
    };
    assert!(draw("--zero-terminal-snr").contains("zero terminal SNR is for models"));
    assert!(!draw("--zero-terminal-snr=false").contains("zero terminal SNR"));
}

/// The first twelve digits of the hash that a LoRA file states.
fn hash_of(path: &Path) -> String {
    let file = LoraFile::read(path).expect("a LoRA file");
    file.metadata["sshs_model_hash"][..12].to_owned()
}

/// Two prompts of a file, two pictures of each; the second asks for a LoRA by name.
#[test]
fn prompts_name_their_loras_and_count_their_seeds() {
    let (folder, path) = training_folder();
    let here = folder.path();
    let config = path.display().to_string();
    let train = ["train", &config, "--set", "train.max_steps=2", "-q"];
    assert!(run(here, &train).status.success());
    let lines = "# two\n(a cat:1.1) --d 5\n(a cat:1.1) <lora:blueprint:0:30> --d 5 --ss euler-a\n";
    fs::write(here.join("prompts.txt"), lines).expect("written");
    let model = format!("{MINI}/base");
    let output = run(
        here,
        &[
            "sample",
            "-m",
            &model,
            "--lora-dir",
            "out",
            "--prompts",
            "prompts.txt",
            "--count",
            "2",
            "-s",
            "2",
            "--no-hash",
            "--json",
            "-q",
        ],
    );
    assert!(output.status.success(), "{}", text(&output.stderr));
    let listed: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let files = listed["files"].as_array().expect("a list").iter();
    let read: Vec<_> = files
        .map(|file| fs::read(here.join(file.as_str().expect("a path"))).expect("a picture"))
        .collect();
    let told: Vec<String> = read
        .iter()
        .map(|bytes| read_parameters(bytes).expect("a PNG").expect("a text"))
        .collect();
    assert_eq!(told.len(), 4);
    for (text, seed) in told.iter().zip([5, 6, 5, 6]) {
        assert!(text.contains(&format!("Seed: {seed},")), "{text}");
        assert!(!text.contains("hash"), "{text}");
    }
    assert!(told[0].starts_with("(a cat:1.1)\nSteps: 2, Sampler: DDIM,"));
    assert!(told[2].starts_with("(a cat:1.1) <lora:blueprint:0:30>\nSteps: 2, Sampler: Euler a,"));
    for (index, bytes) in read.iter().enumerate() {
        assert!(!read[..index].contains(bytes), "two pictures look the same");
    }
}
