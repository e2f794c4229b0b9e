//! LoRAs that prompts ask for by name, on the tiny model.

use std::path::PathBuf;

use burn::tensor::Tensor;
use lora_core::{
    BaseModel,
    adapter::Strength,
    lora_file::{FileDtype, LoraFile},
    prompt_syntax::parse_emphasis,
    unet::Conditions,
};
use lora_train::{
    LoraFolder, LoraNameError, Prompt, PromptLoras, PromptLorasError, config::PreviewConfig,
};

use crate::reference_run::{device, model, path};

fn tiny() -> BaseModel {
    model("tiny-sd15")
}

fn lora(name: &str) -> PathBuf {
    path(&format!("lora/{name}.safetensors"))
}

fn file(name: &str) -> LoraFile {
    LoraFile::read(lora(name)).unwrap()
}

fn prompt(line: &str) -> Prompt {
    Prompt::parse(line, &PreviewConfig::default()).unwrap()
}

/// The golden LoRA files as `style`, `locon` and `xl`.
fn folder() -> (tempfile::TempDir, LoraFolder) {
    let folder = tempfile::tempdir().unwrap();
    for (name, golden) in [
        ("style", "tiny-sd15-lora"),
        ("locon", "tiny-sd15-locon"),
        ("xl", "tiny-sdxl-lora"),
    ] {
        let path = folder.path().join(format!("{name}.safetensors"));
        file(golden).write(path, FileDtype::F32).unwrap();
    }
    let opened = LoraFolder::open(folder.path()).unwrap();
    (folder, opened)
}

/// What the text encoder and the UNet answer, bit for bit.
fn answers(model: &BaseModel) -> [Vec<u32>; 2] {
    let device = device();
    let text = model.text.encode_weighted(&parse_emphasis("a fox"), 1);
    // The same whatever the text encoder says, so that the two sides are seen apart.
    let fixed = Conditions::from(Tensor::ones([1, 77, 12], &device));
    let latents = Tensor::ones([1, 4, 8, 8], &device) * 0.5;
    let unet = model.unet.forward(latents, &[500.0], &fixed);
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    [
        bits(text.states.into_data().iter::<f32>().collect()),
        bits(unet.into_data().iter::<f32>().collect()),
    ]
}

/// The answers with these files attached in order.
fn with(files: &[(&str, Strength)]) -> [Vec<u32>; 2] {
    let mut model = tiny();
    for (name, strength) in files {
        model.add(&file(name), *strength, &device()).unwrap();
    }
    answers(&model)
}

#[test]
fn each_prompt_has_the_loras_that_it_names() {
    let (_path, folder) = folder();
    let device = device();
    let mut model = tiny();
    let mut loras = PromptLoras::new(Vec::new(), Some(folder));
    let base = answers(&model);
    let whole = Strength::from(1.0);
    let sides = |text, unet| Strength { text, unet };
    let mut worn = |line: &str| {
        loras.attach(&mut model, &prompt(line), &device).unwrap();
        answers(&model)
    };

    assert_eq!(worn("a <lora:style:1>"), with(&[("tiny-sd15-lora", whole)]));
    assert_eq!(
        worn("a <lora:style:0.5:1> <lora:locon:te=0:unet=0.25>"),
        with(&[
            ("tiny-sd15-lora", sides(0.5, 1.0)),
            ("tiny-sd15-locon", sides(0.0, 0.25)),
        ])
    );
    let unet_only = worn("a <lora:style:0:1>");
    assert_eq!(unet_only[0], base[0], "the text encoder is left alone");
    assert_ne!(unet_only[1], base[1]);
    let text_only = worn("a <lora:style:te=1:unet=0>");
    assert_ne!(text_only[0], base[0]);
    assert_eq!(text_only[1], base[1], "the UNet is left alone");
    assert_eq!(worn("a <lora:style:0>"), base);
    assert_eq!(
        worn("a <lora:style:0.5> <lora:style:0.5>"),
        with(&[
            ("tiny-sd15-lora", 0.5.into()),
            ("tiny-sd15-lora", 0.5.into())
        ])
    );
    assert_eq!(worn("a fox"), base, "nothing is left behind");
}

#[test]
fn those_of_every_prompt_come_first() {
    let (_path, folder) = folder();
    let mut model = tiny();
    let always = vec![(lora("tiny-sd15-lora"), Strength::from(0.5))];
    let mut loras = PromptLoras::new(always, Some(folder));
    let prompt = prompt("a <lora:locon:2>");
    loras.attach(&mut model, &prompt, &device()).unwrap();
    assert_eq!(
        answers(&model),
        with(&[
            ("tiny-sd15-lora", 0.5.into()),
            ("tiny-sd15-locon", 2.0.into())
        ])
    );
    let used = loras.used(&prompt, true).unwrap();
    let told: Vec<_> = used
        .iter()
        .map(|lora| (lora.name.as_str(), lora.strength.unet, lora.in_prompt))
        .collect();
    assert_eq!(told, [("tiny-sd15-lora", 0.5, false), ("locon", 2.0, true)]);
    let stated = &file("tiny-sd15-lora").metadata["sshs_model_hash"];
    assert_eq!(used[0].hash.as_deref(), Some(&stated[..12]));
    let without = loras.used(&prompt, false).unwrap();
    assert!(without.iter().all(|lora| lora.hash.is_none()));
}

#[test]
fn a_name_without_a_file_is_told_before_a_model_is_needed() {
    let asked = [prompt("a fox"), prompt("a <lora:stile:1>")];
    let mut loras = PromptLoras::new(Vec::new(), None);
    assert!(matches!(
        loras.read(&asked),
        Err(PromptLorasError::Name(LoraNameError::NoFolder { .. }))
    ));
    let (_path, folder) = folder();
    let error = PromptLoras::new(Vec::new(), Some(folder))
        .read(&asked)
        .unwrap_err();
    assert!(
        error.to_string().contains("did you mean `style`?"),
        "{error}"
    );
}

#[test]
fn a_file_of_another_family_is_named_and_leaves_no_adapter() {
    let (_path, folder) = folder();
    let device = device();
    let mut model = tiny();
    let base = answers(&model);
    let mut loras = PromptLoras::new(Vec::new(), Some(folder));
    loras
        .attach(&mut model, &prompt("a <lora:style:1>"), &device)
        .unwrap();
    let error = loras
        .attach(&mut model, &prompt("a <lora:style:1> <lora:xl:1>"), &device)
        .unwrap_err();
    assert!(
        matches!(&error, PromptLorasError::Misfit { path, .. } if path.ends_with("xl.safetensors")),
        "{error}"
    );
    assert_eq!(answers(&model), base);
    loras
        .attach(&mut model, &prompt("a <lora:style:1>"), &device)
        .unwrap();
    assert_ne!(answers(&model), base);
}
