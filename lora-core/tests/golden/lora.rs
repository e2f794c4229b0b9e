//! LoRA files written by kohya's scripts, applied and merged, against kohya's own forward passes.

use std::collections::BTreeMap;

use burn::tensor::{Tensor, TensorData};
use lora_core::{
    BaseModel, ModelSource, Precision, TextStates,
    adapter::{LoraSpec, SiteWeight, SpecError, Strength, Target},
    lora_file::{FileDtype, LoraFile, LoraModule},
    lora_tools::{WeightedLora, combine},
    unet::Conditions,
};

use crate::golden::{self, Golden, assert_close, device, tiny, tiny_sd15};

/// Rounding alone moves these by up to 2e-5 (golden/README.md).
const LIMIT: f32 = 5e-5;

fn assert_outputs(model: &BaseModel, golden: &Golden, case: &str) {
    let text = text(model, golden);
    assert_close(
        text.states.clone(),
        golden,
        &format!("{case}.context"),
        LIMIT,
    );
    if let Some(pooled) = text.pooled.clone() {
        assert_close(pooled, golden, &format!("{case}.text2.pooled"), LIMIT);
    }
    let out = model.unet.forward(
        golden.tensor("latents"),
        &golden.timesteps("timesteps"),
        &conditions(text, golden),
    );
    assert_close(out, golden, &format!("{case}.unet.out"), LIMIT);
}

fn text(model: &BaseModel, golden: &Golden) -> TextStates {
    let names = ["input_ids", "input_ids_2"];
    let ids = golden.ids(&names[..model.text.towers().len()], 1);
    model.text.encode(&ids, 1)
}

fn conditions(text: TextStates, golden: &Golden) -> Conditions {
    let sizes = text.pooled.is_some().then(|| golden.sizes("time_ids"));
    Conditions::new(text, &sizes.unwrap_or_default())
}

/// In the diffusers layout, and in the single file.
fn follow(base: &str, name: &str) {
    follow_in(tiny(base), name);
    let single_file = ModelSource {
        path: golden::path(&format!("{base}.safetensors")),
        config: Some(golden::path(base)),
        precision: Precision::F32,
        ..ModelSource::default()
    };
    follow_in(BaseModel::load(&single_file, &device()).unwrap(), name);
}

fn follow_in(mut model: BaseModel, name: &str) {
    let device = device();
    let golden = Golden::open(&format!("lora/{name}-outputs.safetensors"));
    let file = LoraFile::read(golden::path(&format!("lora/{name}.safetensors"))).unwrap();
    assert_outputs(&model, &golden, "base");
    for (strength, case) in [(1.0, "mult1.0"), (0.5, "mult0.5"), (-0.7, "mult-0.7")] {
        let injected = model.attach(&file, strength, &device).unwrap();
        assert_eq!(injected.modules, file.modules.len());
        assert_outputs(&model, &golden, case);
    }
    // In two halves they add up to the whole.
    model.attach(&file, 0.2, &device).unwrap();
    model.add(&file, 0.3, &device).unwrap();
    assert_outputs(&model, &golden, "mult0.5");
    model.attach(&file, 1.0, &device).unwrap();
    model.merge_adapters();
    assert_outputs(&model, &golden, "merged1.0");
    assert_merged_weights(&mut model, &golden);
}

fn assert_merged_weights(model: &mut BaseModel, golden: &Golden) {
    let mut compared = 0;
    for network in model.networks() {
        let naming = network.naming();
        network.sites(&mut |_, site| {
            let name = format!("merged_weight.{}", naming.kohya_name(site.path));
            if golden.names().contains(&name) {
                match site.weight {
                    SiteWeight::Linear(weight) => {
                        assert_close(weight.tensor(), golden, &name, 1e-6);
                    }
                    SiteWeight::Conv2d(weight) => {
                        assert_close(weight.tensor(), golden, &name, 1e-6);
                    }
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
fn default_networks_equal_kohyas() {
    follow("tiny-sd15", "tiny-sd15-lora");
    follow("tiny-sd21", "tiny-sd21-lora");
    follow("tiny-sdxl", "tiny-sdxl-lora");
}

#[test]
fn network_with_convolutions_equals_kohyas() {
    follow("tiny-sd15", "tiny-sd15-locon");
}

#[test]
fn text_encoder_and_unet_have_strengths_of_their_own() {
    let device = device();
    let golden = Golden::open("lora/tiny-sdxl-lora-outputs.safetensors");
    let file = LoraFile::read(golden::path("lora/tiny-sdxl-lora.safetensors")).unwrap();
    let mut model = tiny("tiny-sdxl");
    let strength = |text, unet| Strength { text, unet };
    model.attach(&file, strength(0.5, 0.0), &device).unwrap();
    let half = text(&model, &golden);
    assert_close(half.states, &golden, "mult0.5.context", LIMIT);
    model.attach(&file, strength(0.0, 0.5), &device).unwrap();
    let base = text(&model, &golden);
    assert_close(base.states.clone(), &golden, "base.context", LIMIT);
    let answer = |model: &BaseModel| -> Tensor<4> {
        let conditions = conditions(base.clone(), &golden);
        let latents = golden.tensor("latents");
        let timesteps = golden.timesteps("timesteps");
        model.unet.forward(latents, &timesteps, &conditions)
    };
    let adapted = answer(&model);
    model.clear_adapters();
    let difference = (adapted - answer(&model)).abs().max();
    assert!(difference.into_scalar::<f32>() > 0.01);
}

#[test]
fn fresh_adapters_have_kohyas_names_and_change_nothing() {
    let device = device();
    let file = LoraFile::read(golden::path("lora/tiny-sd15-lora.safetensors")).unwrap();
    let golden = Golden::open("lora/tiny-sd15-lora-outputs.safetensors");
    let mut model = tiny_sd15();
    let injected = model.inject(&LoraSpec::default(), 3, &device).unwrap();
    assert_eq!(injected.modules, file.modules.len());
    assert_outputs(&model, &golden, "base");
    let ours = model.to_lora_file();
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
    let device = device();
    let file = LoraFile::read(golden::path("lora/tiny-sd15-locon.safetensors")).unwrap();
    let mut model = tiny_sd15();
    model.attach(&file, 1.0, &device).unwrap();
    let golden = Golden::open("lora/tiny-sd15-locon-outputs.safetensors");
    let output = |model: &BaseModel| -> Tensor<4> {
        let conditions = conditions(text(model, &golden), &golden);
        model
            .unet
            .forward(golden.tensor("latents"), &[100.0, 500.0], &conditions)
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

/// A change of the projection of the pooled state is the change of its weight.
#[test]
fn the_text_projection_of_sdxl_takes_adapters() {
    let device = device();
    let golden = Golden::open("lora/tiny-sdxl-lora-outputs.safetensors");
    let mut model = tiny("tiny-sdxl");
    let before = text(&model, &golden).pooled.unwrap();
    let [_, width] = before.dims();
    // The scale is 3, down picks the second number of the projected state's input, up the first of its output.
    let unit = |place: usize, shape: [usize; 2]| {
        let values: Vec<f32> = (0..width).map(|i| f32::from(i == place)).collect();
        TensorData::new(values, shape)
    };
    let module = LoraModule {
        down: unit(1, [1, width]),
        up: unit(0, [width, 1]),
        alpha: 3.0,
    };
    let file = LoraFile {
        modules: BTreeMap::from([("lora_te2_text_projection".to_owned(), module)]),
        ..LoraFile::default()
    };
    model.attach(&file, 1.0, &device).unwrap();
    let adapted = text(&model, &golden).pooled.unwrap();
    let largest = (adapted.clone() - before).abs().max().into_scalar::<f32>();
    assert!(largest > 0.1, "{largest}");
    model.merge_adapters();
    let merged = text(&model, &golden).pooled.unwrap();
    let difference = (adapted - merged).abs().max().into_scalar::<f32>();
    assert!(difference < 1e-5, "{difference}");

    let spec = LoraSpec::default();
    model.inject(&spec, 0, &device).unwrap();
    assert!(
        !model
            .to_lora_file()
            .modules
            .contains_key("lora_te2_text_projection")
    );
}

/// Some trainers store SD 1.x's projections, which are 1×1 convolutions, as linear layers, and SD 2.x's the other way.
#[test]
fn convolutions_of_one_pixel_and_linear_layers_stand_for_one_another() {
    let device = device();
    let mut model = tiny_sd15();
    let mut file = LoraFile::read(golden::path("lora/tiny-sd15-lora.safetensors")).unwrap();
    let mut turned = 0;
    for module in file.modules.values_mut() {
        for factor in [&mut module.down, &mut module.up] {
            let mut shape = factor.shape().to_vec();
            if let [_, _, 1, 1] = shape[..] {
                shape.truncate(2);
                turned += 1;
            } else {
                shape.resize(4, 1);
            }
            *factor = TensorData::new(factor.iter::<f32>().collect(), shape);
        }
    }
    assert!(turned > 10, "{turned}");
    model.attach(&file, 1.0, &device).unwrap();
    let golden = Golden::open("lora/tiny-sd15-lora-outputs.safetensors");
    assert_outputs(&model, &golden, "mult1.0");

    let plain = LoraFile::read(golden::path("lora/tiny-sd15-lora.safetensors")).unwrap();
    let weighted = |name, file| WeightedLora {
        name,
        file,
        strength: 0.5.into(),
    };
    let sum = combine(&[weighted("a", &file), weighted("b", &plain)], None).unwrap();
    model.attach(&sum, 1.0, &device).unwrap();
    assert_outputs(&model, &golden, "mult1.0");
}

#[test]
fn layers_without_a_place_for_adapters_are_called_so() {
    let device = device();
    let mut file = LoraFile::read(golden::path("lora/tiny-sdxl-lora.safetensors")).unwrap();
    let module = file.modules.first_key_value().unwrap().1.clone();
    let name = "lora_te1_text_projection".to_owned();
    file.modules.insert(name.clone(), module);
    let error = tiny("tiny-sdxl").attach(&file, 1.0, &device).unwrap_err();
    assert!(
        matches!(&error, SpecError::NotAdapted { modules } if *modules == [name]),
        "{error}"
    );
}

#[test]
fn files_that_do_not_fit_are_refused_and_leave_the_model_bare() {
    let device = device();
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

#[test]
fn convolutions_have_a_rank_and_an_alpha_of_their_own() {
    let device = device();
    // conv_dim 2 and conv_alpha 1 beside rank 4 and alpha 2.
    let file = LoraFile::read(golden::path("lora/tiny-sd15-locon.safetensors")).unwrap();
    let mut model = tiny_sd15();
    let spec = LoraSpec {
        rank: 4,
        alpha: 2.0,
        targets: vec![Target::TextEncoder, Target::Attention, Target::Convolution],
        conv_rank: Some(2),
        conv_alpha: Some(1.0),
        ..LoraSpec::default()
    };
    model.inject(&spec, 0, &device).unwrap();
    let ours = model.to_lora_file();
    assert!(ours.modules.keys().eq(file.modules.keys()));
    for (name, module) in &file.modules {
        let found = &ours.modules[name];
        assert_eq!(found.down.shape(), module.down.shape(), "{name}");
        assert_eq!(found.up.shape(), module.up.shape(), "{name}");
        assert!((found.alpha - module.alpha).abs() < 1e-6, "{name}");
    }
}
