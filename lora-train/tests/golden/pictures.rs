//! Whole pictures against diffusers' pipelines: `docs/interop/check_pictures.py` recorded them.

use std::collections::BTreeSet;

use image::RgbImage;
use lora_core::{BaseModel, diffusion::SamplerKind};
use lora_train::{DrawSettings, Prompt, batches, config::PreviewConfig, draw};

use crate::reference_run::{device, model, path};

const MODELS: [&str; 3] = ["tiny-sd15", "tiny-sd21", "tiny-sdxl"];
const SETTINGS: DrawSettings = DrawSettings {
    sampler: SamplerKind::Ddim,
    clip_skip: 1,
    size: [48, 32],
};

fn prompts(lines: &[&str]) -> Vec<Prompt> {
    let defaults = PreviewConfig {
        steps: 12,
        guidance: 5.0,
        seed: 42,
        ..PreviewConfig::default()
    };
    let parse = |line: &&str| Prompt::parse(line, &defaults).unwrap();
    lines.iter().map(parse).collect()
}

fn pictures(model: &BaseModel, prompts: &[Prompt]) -> Vec<RgbImage> {
    draw(model, prompts, SETTINGS, &device()).unwrap()
}

fn worst(left: &RgbImage, right: &RgbImage) -> u8 {
    assert_eq!(left.dimensions(), right.dimensions());
    let levels = left.iter().zip(right.iter());
    levels
        .map(|(left, right)| left.abs_diff(*right))
        .max()
        .unwrap_or(0)
}

/// Latents of 6 × 4 are not halved evenly; SDXL without a negative prompt is told zeros.
#[test]
fn pictures_equal_those_of_diffusers() {
    for name in MODELS {
        let model = model(name);
        for (file, line) in [
            ("ddim", "a red fox on a hill --n blurry, dark"),
            ("ddim-no-negative", "a red fox on a hill"),
            ("euler", "a red fox on a hill --n blurry, dark --ss euler"),
            (
                "dpmpp-2m-karras",
                "a red fox on a hill --n blurry, dark --ss dpmpp-2m-karras",
            ),
        ] {
            let expected = path(&format!("pictures/{name}/{file}.png"));
            let expected = image::open(expected).unwrap().into_rgb8();
            let found = &pictures(&model, &prompts(&[line]))[0];
            // A value between two grey levels may round either way.
            let worst = worst(found, &expected);
            assert!(worst <= 1, "{name}, {file} differs by {worst} grey levels");
        }
    }
}

/// What stands beside a prompt must not change its picture: not the number of pictures drawn at once, not longer texts.
#[test]
fn a_picture_is_the_same_alone_and_among_others() {
    let lines = [
        "a red fox --s 3",
        "a red fox --s 3 --d 1 --n blurry",
        "a (red:1.3) fox BREAK on a hill --s 3",
        "a hill --s 3 --n a BREAK b",
        "a hill --s 3 --n a BREAK b --d 7",
        "a hill --s 3 --l 1",
        "a hill --s 2 --ss euler-a",
        "a hill --s 2 --ss euler-a --w 32",
    ];
    for name in MODELS {
        let model = model(name);
        let prompts = prompts(&lines);
        let sizes: Vec<usize> = batches(&model, &prompts, SETTINGS)
            .unwrap()
            .into_iter()
            .map(<[Prompt]>::len)
            .collect();
        assert_eq!(sizes, [2, 1, 2, 1, 1, 1], "{name}");
        let together = pictures(&model, &prompts);
        let mut seen = BTreeSet::new();
        for (prompt, among) in prompts.iter().zip(&together) {
            let alone = &pictures(&model, std::slice::from_ref(prompt))[0];
            assert!(worst(alone, among) <= 1, "{name}: {}", prompt.text);
            seen.insert(among.as_raw().clone());
        }
        assert_eq!(seen.len(), lines.len(), "two pictures look the same");
    }
}

#[test]
fn texts_beyond_one_row_count() {
    let model = model("tiny-sd15");
    let long = "word ".repeat(80);
    let lines = [format!("{long} fox --s 2"), format!("{long} owl --s 2")];
    let found = pictures(&model, &prompts(&[&lines[0], &lines[1]]));
    assert_ne!(found[0], found[1]);
}

#[test]
fn a_prompt_that_cannot_be_followed_is_refused_before_anything_is_drawn() {
    let model = model("tiny-sd15");
    let mut prompts = prompts(&["a fox", "an owl"]);
    prompts[1].text.push_str(" AND a bear");
    let error = draw(&model, &prompts, SETTINGS, &device()).unwrap_err();
    assert!(error.to_string().contains("an owl AND a bear"), "{error}");
}
