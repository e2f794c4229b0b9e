//! LoRA files written by kohya's scripts, applied and merged, against kohya's own forward passes.

use burn::tensor::{Device, Tensor};
use lora_core::{
    BaseModel,
    adapter::{SiteWeight, Sites, SpecError},
    lora_file::{FileDtype, LoraFile},
};

use crate::golden::{self, Golden, assert_close, tiny_sd15};

/// Rounding alone moves these by up to 2e-5 (golden/README.md).
const LIMIT: f32 = 5e-5;

fn assert_outputs(model: &BaseModel, golden: &Golden, case: &str) {
    let context = model.text_encoder.forward(golden.ids("input_ids"), 1);
    assert_close(context.clone(), golden, &format!("{case}.context"), LIMIT);
    let timesteps: Vec<f32> = golden
        .integers("timesteps")
        .into_iter()
        .map(|timestep| timestep as f32)
        .collect();
    let out = model
        .unet
        .forward(golden.tensor("latents"), &timesteps, context);
    assert_close(out, golden, &format!("{case}.unet.out"), LIMIT);
}

fn follow(name: &str, modules: usize) {
    let device = Device::flex();
    let golden = Golden::open(&format!("lora/{name}-outputs.safetensors"));
    let file = LoraFile::read(golden::path(&format!("lora/{name}.safetensors"))).unwrap();
    let mut model = tiny_sd15();
    assert_outputs(&model, &golden, "base");
    for (strength, case) in [(1.0, "mult1.0"), (0.5, "mult0.5"), (-0.7, "mult-0.7")] {
        let injected = model.attach(&file, strength, &device).unwrap();
        assert_eq!(injected.modules, modules);
        assert_outputs(&model, &golden, case);
    }
    model.attach(&file, 1.0, &device).unwrap();
    model.merge_adapters();
    assert_outputs(&model, &golden, "merged1.0");
    assert_merged_weights(&mut model, &golden);
}

fn assert_merged_weights(model: &mut BaseModel, golden: &Golden) {
    let mut compared = 0;
    for network in [&mut model.text_encoder as &mut dyn Sites, &mut model.unet] {
        let prefix = network.prefix();
        network.sites(&mut |_, site| {
            let name = format!("merged_weight.{prefix}_{}", site.path.replace('.', "_"));
            if golden.names().contains(&name) {
                match site.weight {
                    SiteWeight::Linear(weight) => assert_close(weight.clone(), golden, &name, 1e-6),
                    SiteWeight::Conv2d(weight) => assert_close(weight.clone(), golden, &name, 1e-6),
                }
                compared += 1;
            }
        });
    }
    assert_eq!(
        compared,
        golden
            .names()
            .iter()
            .filter(|name| name.starts_with("merged_weight."))
            .count()
    );
    assert!(compared > 0);
}

#[test]
fn default_network_equals_kohyas() {
    follow("tiny-sd15-lora", modules_in("tiny-sd15-lora"));
}

#[test]
fn network_with_convolutions_equals_kohyas() {
    follow("tiny-sd15-locon", modules_in("tiny-sd15-locon"));
}

fn modules_in(name: &str) -> usize {
    LoraFile::read(golden::path(&format!("lora/{name}.safetensors")))
        .unwrap()
        .modules
        .len()
}

#[test]
fn fresh_adapters_have_kohyas_names_and_change_nothing() {
    let device = Device::flex();
    let file = LoraFile::read(golden::path("lora/tiny-sd15-lora.safetensors")).unwrap();
    let golden = Golden::open("lora/tiny-sd15-lora-outputs.safetensors");
    let mut model = tiny_sd15();
    let injected = model
        .inject(&lora_core::adapter::LoraSpec::default(), 3, &device)
        .unwrap();
    assert_eq!(injected.modules, file.modules.len());
    assert_outputs(&model, &golden, "base");
    let ours = model.to_lora_file(16.0);
    assert!(ours.modules.keys().eq(file.modules.keys()));
    // Kaiming-uniform with a = √5: within ±1/√fan_in, and filling that range.
    let down = &ours.modules["lora_unet_mid_block_attentions_0_proj_in"].down;
    let largest = down
        .iter::<f32>()
        .fold(0f32, |largest, value| largest.max(value.abs()));
    assert!(largest <= 0.125 && largest > 0.12, "{largest}");
}

#[test]
fn a_file_written_and_read_back_gives_the_same_outputs() {
    let device = Device::flex();
    let file = LoraFile::read(golden::path("lora/tiny-sd15-locon.safetensors")).unwrap();
    let mut model = tiny_sd15();
    model.attach(&file, 1.0, &device).unwrap();
    let golden = Golden::open("lora/tiny-sd15-locon-outputs.safetensors");
    let output = |model: &BaseModel| -> Tensor<4> {
        let context = model.text_encoder.forward(golden.ids("input_ids"), 1);
        model
            .unet
            .forward(golden.tensor("latents"), &[100.0, 500.0], context)
    };
    let before = output(&model).into_data();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.safetensors");
    file.write(&path, FileDtype::F32).unwrap();
    model
        .attach(&LoraFile::read(&path).unwrap(), 1.0, &device)
        .unwrap();
    before.assert_eq(&output(&model).into_data(), true);
}

#[test]
fn files_that_do_not_fit_are_refused_and_leave_the_model_bare() {
    let device = Device::flex();
    let golden = Golden::open("lora/tiny-sd15-lora-outputs.safetensors");
    let mut file = LoraFile::read(golden::path("lora/tiny-sd15-lora.safetensors")).unwrap();
    let mut model = tiny_sd15();
    let module = file.modules.pop_first().unwrap().1;
    file.modules
        .insert("lora_unet_nowhere".to_owned(), module.clone());
    let error = model.attach(&file, 1.0, &device).unwrap_err();
    assert!(
        matches!(&error, SpecError::UnknownModules { modules } if modules == &["lora_unet_nowhere"]),
        "{error}"
    );
    assert_outputs(&model, &golden, "base");
    file.modules.remove("lora_unet_nowhere");
    file.modules.insert(
        "lora_unet_mid_block_attentions_0_proj_in".to_owned(),
        module,
    );
    let error = model.attach(&file, 1.0, &device).unwrap_err();
    assert!(matches!(error, SpecError::Misfit { .. }), "{error}");
    assert_outputs(&model, &golden, "base");
}
