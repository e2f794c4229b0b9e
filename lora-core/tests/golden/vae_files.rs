//! A VAE alone, in every form it is published in.

use burn::tensor::Device;
use lora_core::{
    Precision,
    safetensors_file::SafetensorsFile,
    weights::{Checkpoint, CheckpointError, Component, OtherModel, TensorProblem, Weights},
};

use crate::{
    golden::path,
    model_files::{VAE, ask_for_all, raw, single_file, write, zeros},
};

/// Builds the tiny SD1.5 VAE from what `checkpoint` has, all of it and nothing else.
fn vae_problems(checkpoint: &Checkpoint) -> Vec<TensorProblem> {
    let names = SafetensorsFile::open(path("tiny-sd15").join(VAE.1)).unwrap();
    for name in names.names() {
        let expected = names.read(&name).unwrap();
        let found = raw(checkpoint, Component::Vae, &name, &expected.shape);
        assert!(found.bytes == expected.bytes, "{name}");
    }
    let mut problems = Vec::new();
    let ask = |weights: &Weights<'_>| ask_for_all(&names, weights);
    let format = Precision::F32;
    checkpoint
        .build(VAE.0, &Device::flex(), format, &mut problems, ask)
        .unwrap();
    problems
}

#[test]
fn a_vae_is_read_from_every_form_it_is_published_in() {
    let model = path("tiny-sd15");
    let whole = single_file("tiny-sd15");
    // What was published as vae-ft-mse: the original names without prefix, and the rest of the training beside them.
    let file = SafetensorsFile::open(&whole).unwrap();
    let mut tensors: Vec<_> = file
        .names()
        .into_iter()
        .filter_map(|name| {
            let bare = name.strip_prefix("first_stage_model.")?.to_owned();
            Some((bare, file.read(&name).unwrap()))
        })
        .collect();
    tensors.push(zeros("loss.logvar", &[1]));
    tensors.push(zeros("model_ema.decay", &[1]));
    let folder = tempfile::tempdir().unwrap();
    let bare = folder.path().join("vae.safetensors");
    write(&bare, &tensors);

    let opened = [
        Checkpoint::open_vae(model.join("vae"), None),
        Checkpoint::open_vae(&model, None),
        Checkpoint::open_vae(model.join(VAE.1), Some(&model)),
        Checkpoint::open_vae(&whole, Some(&model)),
        Checkpoint::open_vae(&bare, Some(&model)),
    ];
    for checkpoint in opened {
        let checkpoint = checkpoint.unwrap();
        assert_eq!(vae_problems(&checkpoint), []);
        let config: serde_json::Value = checkpoint.config(Component::Vae).unwrap();
        assert_eq!(config["norm_num_groups"], 8);
    }

    tensors.push(zeros("encoder.extra", &[1]));
    write(&bare, &tensors);
    let checkpoint = Checkpoint::open_vae(&bare, Some(&model)).unwrap();
    assert_eq!(
        vae_problems(&checkpoint),
        [TensorProblem::Unexpected {
            key: "encoder.extra".to_owned(),
            file: bare.clone(),
        }]
    );
    assert!(matches!(
        Checkpoint::open_vae(&bare, None),
        Err(CheckpointError::VaeConfigNeeded { .. })
    ));
    write(&bare, &[zeros("something", &[1])]);
    assert!(matches!(
        Checkpoint::open_vae(&bare, None),
        Err(CheckpointError::OtherModel {
            found: OtherModel::NoVae,
            ..
        })
    ));
}

#[test]
fn a_published_vae_needs_no_config() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vae.safetensors");
    let tensors = [
        zeros("encoder.conv_in.weight", &[128, 3, 3, 3]),
        zeros("encoder.down.0.block.0.norm1.weight", &[128]),
    ];
    write(&file, &tensors);
    let checkpoint = Checkpoint::open_vae(&file, None).unwrap();
    let config: serde_json::Value = checkpoint.config(Component::Vae).unwrap();
    assert_eq!(
        config["block_out_channels"],
        serde_json::json!([128, 256, 512, 512])
    );
}
