//! Both layouts of every family give the same tensors.

use burn::tensor::Device;
use lora_core::{
    Family, ModelConfigs, Precision,
    safetensors_file::{RawTensor, SafetensorsFile},
    weights::{Checkpoint, Component, Place, TensorProblem, Weights},
};

use crate::{
    golden::path,
    model_files::{MODELS, TEXT, ask_for_all, raw, single_file, write, zeros},
};

/// The tensor that a place names, read by nothing but what the place says.
fn at(place: &Place) -> RawTensor {
    let file = SafetensorsFile::open(&place.file).unwrap();
    let raw = match &place.rows {
        Some(rows) => file.read_rows(&place.key, rows.clone()),
        None => file.read(&place.key),
    };
    let raw = raw.unwrap();
    if place.transposed {
        raw.transposed()
    } else {
        raw
    }
}

#[test]
fn both_layouts_give_the_same_tensors() {
    for (model, family, components) in MODELS {
        let folder = Checkpoint::open(path(model), None).unwrap();
        let single = Checkpoint::open(single_file(model), Some(&path(model))).unwrap();
        assert_eq!((folder.family(), single.family()), (family, family));
        for (component, file) in components {
            let file = SafetensorsFile::open(path(model).join(file)).unwrap();
            for name in file.names() {
                let expected = file.read(&name).unwrap();
                let shape = &expected.shape;
                for checkpoint in [&folder, &single] {
                    let found = raw(checkpoint, *component, &name, shape);
                    assert!(found.bytes == expected.bytes, "{model} {name}");
                    let place = checkpoint.locate(*component, &name).unwrap();
                    assert!(
                        at(&place).bytes == expected.bytes,
                        "{model} {name} {place:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn no_tensor_of_either_layout_is_left_over() {
    let device = Device::flex();
    for (model, _, components) in MODELS {
        for checkpoint in [
            Checkpoint::open(path(model), None).unwrap(),
            Checkpoint::open(single_file(model), Some(&path(model))).unwrap(),
        ] {
            let mut problems = Vec::new();
            for (component, file) in components {
                let file = SafetensorsFile::open(path(model).join(file)).unwrap();
                let ask = |weights: &Weights<'_>| ask_for_all(&file, weights);
                let format = Precision::F16;
                checkpoint
                    .build(*component, &device, format, &mut problems, ask)
                    .unwrap();
            }
            assert_eq!(problems, [], "{model}");
        }
    }
}

/// The stored files hold a few tensors more, which no network asks for.
#[test]
fn the_tensors_of_a_single_file_are_told_by_its_configs() {
    for (model, family, components) in MODELS {
        let checkpoint = Checkpoint::open(path(model), None).unwrap();
        let configs = ModelConfigs::read(&checkpoint).unwrap();
        assert_eq!(configs.family, family);
        let single = SafetensorsFile::open(single_file(model)).unwrap();
        for (name, shape) in configs.single_file_tensors() {
            let stored = single.info(&name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!(stored.shape, shape, "{name}");
        }
        let spare = |name: &str| {
            let of_last_block = "cond_stage_model.model.transformer.resblocks.4.";
            let lone = ["betas", "alphas_cumprod"];
            let of_clip = ["position_ids", "logit_scale"];
            lone.contains(&name)
                || of_clip.iter().any(|end| name.ends_with(end))
                || family == Family::Sd2 && name.ends_with("text_projection")
                || name.starts_with(of_last_block)
        };
        let needed = single.names().into_iter().filter(|name| !spare(name));
        assert_eq!(
            needed.count(),
            configs.single_file_tensors().len(),
            "{model}"
        );
        let parameters = |component| configs.parameters(component);
        let counted: usize = components.iter().map(|(part, _)| parameters(*part)).sum();
        let tensors = configs.single_file_tensors();
        let stored = tensors
            .values()
            .map(|shape| shape.iter().product::<usize>());
        assert_eq!(counted, stored.sum::<usize>());
    }
}

#[test]
fn packed_and_transposed_tensors_are_placed_exactly() {
    let sdxl = Checkpoint::open(single_file("tiny-sdxl"), Some(&path("tiny-sdxl"))).unwrap();
    let place = |key: &str, rows, transposed| {
        Some(Place {
            file: single_file("tiny-sdxl"),
            key: format!("conditioner.embedders.1.model.{key}"),
            rows,
            transposed,
        })
    };
    let locate = |key: &str| sdxl.locate(Component::TextEncoder2, key);
    assert_eq!(
        locate("text_model.encoder.layers.2.self_attn.v_proj.bias"),
        place(
            "transformer.resblocks.2.attn.in_proj_bias",
            Some(24..36),
            false
        )
    );
    assert_eq!(
        locate("text_projection.weight"),
        place("text_projection", None, true)
    );
    assert_eq!(locate("text_model.encoder.layers.9.mlp.fc1.bias"), None);
    assert_eq!(sdxl.locate(Component::Scheduler, "betas"), None);
}

#[test]
fn the_first_files_without_the_text_model_level_are_read() {
    let file = SafetensorsFile::open(single_file("tiny-sd15")).unwrap();
    let tensors: Vec<_> = file
        .names()
        .into_iter()
        .map(|name| (name.replace(".text_model.", "."), file.read(&name).unwrap()))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let old = folder.path().join("old.safetensors");
    write(&old, &tensors);
    let checkpoint = Checkpoint::open(&old, Some(&path("tiny-sd15"))).unwrap();
    let names = SafetensorsFile::open(path("tiny-sd15").join(TEXT.1)).unwrap();
    let mut problems = Vec::new();
    let ask = |weights: &Weights<'_>| ask_for_all(&names, weights);
    checkpoint
        .build(TEXT.0, &Device::flex(), Precision::F16, &mut problems, ask)
        .unwrap();
    assert_eq!(problems, []);
}

#[test]
fn problems_of_packed_tensors_name_the_key_and_shape_in_the_file() {
    let file = SafetensorsFile::open(single_file("tiny-sd21")).unwrap();
    let packed = "cond_stage_model.model.transformer.resblocks.1.attn.in_proj_bias";
    let gone = "cond_stage_model.model.transformer.resblocks.2.attn.in_proj_weight";
    let tensors: Vec<_> = file
        .names()
        .into_iter()
        .filter(|name| name != gone)
        .map(|name| {
            let tensor = file.read(&name).unwrap();
            if name == packed {
                zeros(&name, &[23])
            } else {
                (name, tensor)
            }
        })
        .collect();
    let folder = tempfile::tempdir().unwrap();
    let damaged = folder.path().join("damaged.safetensors");
    write(&damaged, &tensors);
    let checkpoint = Checkpoint::open(&damaged, Some(&path("tiny-sd21"))).unwrap();
    let tensors = checkpoint.tensors(Component::TextEncoder).unwrap();
    let problem = |layer: usize, tensor: &str, shape: &[usize]| {
        let key = format!("text_model.encoder.layers.{layer}.self_attn.k_proj.{tensor}");
        tensors.find(&key, shape).unwrap_err()
    };
    assert_eq!(
        problem(1, "bias", &[8]),
        TensorProblem::Shape {
            key: packed.to_owned(),
            file: damaged.clone(),
            expected: vec![24],
            found: vec![23],
        }
    );
    assert_eq!(
        problem(2, "weight", &[8, 8]),
        TensorProblem::Missing {
            key: gone.to_owned(),
            file: damaged,
        }
    );
}
