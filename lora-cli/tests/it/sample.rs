use std::fs;

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
    assert_eq!(
        read_parameters(&on).expect("a PNG").as_deref(),
        Some(
            "a cat <lora:blueprint:30>\nNegative prompt: dog\n\
             Steps: 2, Sampler: DDIM, CFG scale: 3, Seed: 7, Size: 64x64"
        )
    );
    let pixels = |bytes: &[u8]| {
        image::load_from_memory(bytes)
            .expect("a picture")
            .into_rgb8()
    };
    assert_eq!(pixels(&on).dimensions(), (64, 64), "the model's own size");
    assert_ne!(pixels(&on), pixels(&off));
}
