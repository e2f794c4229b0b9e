use std::fs;

use crate::program::{LOCON, MINI, training_folder, transcript, with_filters};

/// Each mistake, with the name of its snapshot.
#[test]
fn mistakes_are_told_in_words_that_help() {
    let (folder, path) = training_folder();
    let here = folder.path();
    fs::write(here.join("typo.toml"), "[train]\nepoch = 3\n").expect("written");
    fs::write(here.join("notes.txt"), "no prompt\n").expect("written");
    let prompts =
        "[prompt]\nwidth = 512\n[[prompt.subset]]\nprompt = 'a'\nsample_sampler = 'heun'\n";
    fs::write(here.join("prompts.toml"), prompts).expect("written");
    fs::create_dir_all(here.join("done")).expect("made");
    fs::write(here.join("done/blueprint-000001.safetensors"), "").expect("written");
    let run = path.display().to_string();
    let base = format!("{MINI}/base");
    let cases: &[(&str, &[&str])] = &[
        ("no_command", &[]),
        ("unknown_option", &["train", "--epochs", "3"]),
        ("no_such_config", &["train", "nowhere.toml"]),
        ("mistyped_key", &["plan", "typo.toml"]),
        (
            "mistyped_override",
            &["plan", &run, "--set", "train.epoch=3"],
        ),
        (
            "many_problems",
            &[
                "plan",
                &run,
                "--set",
                "train.epochs=0",
                "--set",
                "lora.rank=0",
            ],
        ),
        (
            "no_pictures",
            &["plan", &run, "--set", "dataset.folders=[{path='done'}]"],
        ),
        (
            "no_such_model",
            &["train", &run, "--set", "model.path=nowhere"],
        ),
        (
            "earlier_run",
            &["train", &run, "--set", "output.folder=done"],
        ),
        ("unknown_device", &["plan", &run, "--device", "gpu"]),
        ("no_prompt", &["sample", "-m", &base]),
        ("bad_prompt", &["sample", "-m", &base, "a cat --s many"]),
        (
            "alternation",
            &["sample", "-m", &base, "a [cat|dog] --n [dark]"],
        ),
        (
            "lora_without_folder",
            &["sample", "-m", &base, "a cat <lora:blueprint:1>"],
        ),
        (
            "unknown_lora",
            &[
                "sample",
                "-m",
                &base,
                "--lora-dir",
                "done",
                "a cat <lora:blueprnt-00001:1>",
            ],
        ),
        (
            "prompt_file",
            &["sample", "-m", &base, "--prompts", "prompts.toml"],
        ),
        (
            "bad_size",
            &["sample", "-m", &base, "a cat", "--size", "5cm"],
        ),
        ("misfit", &["grid", "-m", &base, LOCON, "-p", "a cat"]),
        ("no_lora", &["inspect", "notes.txt"]),
        (
            "no_such_file",
            &["grid", "-m", &base, "nowhere.safetensors", "-p", "a cat"],
        ),
    ];
    with_filters(|| {
        for (name, arguments) in cases {
            insta::assert_snapshot!(format!("error_{name}"), transcript(here, arguments));
        }
    });
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_backend_that_was_left_out_names_its_feature() {
    let (folder, path) = training_folder();
    let run = path.display().to_string();
    with_filters(|| {
        let transcript = transcript(folder.path(), &["train", &run, "--device", "cuda:1"]);
        insta::assert_snapshot!("error_left_out_backend", transcript);
    });
}
