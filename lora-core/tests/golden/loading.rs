//! Both layouts, sharded folders, and what is said about tensors that do not fit.

use std::{collections::HashMap, fs, path::Path};

use lora_core::{
    BaseModel, ModelSource, Precision,
    diffusion::PredictionType,
    safetensors_file::{RawTensor, SafetensorsFile},
    weights::{CheckpointError, TensorProblem},
};
use safetensors::tensor::{TensorView, serialize_to_file};

use crate::{
    forward::assert_equals_reference,
    golden::{self, Golden, assert_close, device},
    model_files::copy_of,
};

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

fn load(path: &Path, config: Option<&Path>) -> Result<BaseModel, CheckpointError> {
    let source = ModelSource {
        config: config.map(Path::to_path_buf),
        precision: Precision::F32,
        ..ModelSource::new(path)
    };
    BaseModel::load(&source, &device())
}

fn unet_output(model: &BaseModel) -> burn::tensor::Tensor<4> {
    let golden = Golden::open("forward/tiny-sd15.safetensors");
    model.unet.forward(
        golden.tensor("unet.latents"),
        &[37.0, 951.0],
        &golden.tensor::<3>("unet.context").into(),
    )
}

#[test]
fn single_files_equal_the_references_too() {
    for name in ["tiny-sd15", "tiny-sd21", "tiny-sdxl"] {
        let file = golden::path(&format!("{name}.safetensors"));
        let model = load(&file, Some(&golden::path(name))).unwrap();
        assert_equals_reference(&model, name);
    }
}

#[test]
fn single_file_of_unknown_architecture_asks_for_a_config() {
    let error = load(&golden::path("tiny-sd15.safetensors"), None).unwrap_err();
    assert!(
        matches!(error, CheckpointError::ConfigNeeded { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("--config"));
}

#[test]
fn other_files_and_folders_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let ckpt = folder.path().join("model.ckpt");
    fs::write(&ckpt, b"PK").unwrap();
    assert!(matches!(
        load(&ckpt, None).unwrap_err(),
        CheckpointError::PyTorch { .. }
    ));
    assert!(matches!(
        load(folder.path(), None).unwrap_err(),
        CheckpointError::NotAModel { .. }
    ));
    let missing = folder.path().join("nowhere");
    assert!(matches!(
        load(&missing, None).unwrap_err(),
        CheckpointError::NotFound { .. }
    ));
}

#[test]
fn noise_that_no_picture_can_be_drawn_from_is_refused_by_field() {
    let folder = copy_of("tiny-sd15");
    let path = folder.path().join("scheduler/scheduler_config.json");
    let text = fs::read_to_string(&path).unwrap();
    for (given, broken, name) in [
        (
            "\"num_train_timesteps\": 1000",
            "\"num_train_timesteps\": 0",
            "num_train_timesteps",
        ),
        ("\"beta_end\": 0.012", "\"beta_end\": 1.2", "beta_end"),
    ] {
        assert!(text.contains(given));
        fs::write(&path, text.replace(given, broken)).unwrap();
        let error = load(folder.path(), None).unwrap_err();
        assert!(
            matches!(&error, CheckpointError::Unsupported { path: file, field, .. } if *file == path && *field == name),
            "{error}"
        );
    }
}

/// What a tokenizer can say, the text encoder must have an embedding for.
#[test]
fn too_small_a_vocabulary_is_refused() {
    let folder = copy_of("tiny-sd15");
    let path = folder.path().join("text_encoder/config.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("49408", "49407")).unwrap();
    let error = load(folder.path(), None).unwrap_err();
    assert!(
        matches!(&error, CheckpointError::Unsupported { path: file, field: "vocab_size", .. } if *file == path),
        "{error}"
    );
}

/// Rewrites a weight file with `change` applied to its tensors' names and shapes.
fn rewrite(
    from: &Path,
    to: &Path,
    change: impl Fn(&str, Vec<usize>) -> Option<(String, Vec<usize>)>,
) {
    let file = SafetensorsFile::open(from).unwrap();
    let stored = file.names().into_iter().filter_map(|name| {
        let stored = file.read(&name).unwrap();
        let (name, shape) = change(&name, stored.shape.clone())?;
        Some((name, RawTensor { shape, ..stored }))
    });
    let stored: Vec<(String, RawTensor)> = stored.collect();
    let tensors = stored.iter().map(|(name, stored)| {
        let view = TensorView::new(stored.dtype, stored.shape.clone(), &stored.bytes);
        (name, view.unwrap())
    });
    serialize_to_file(tensors, None, to).unwrap();
}

#[test]
fn shards_are_found_through_their_index() {
    let folder = copy_of("tiny-sd15");
    let whole = folder.path().join(UNET);
    let mut index = HashMap::new();
    for shard in 0..2usize {
        let name = format!(
            "diffusion_pytorch_model-0000{}-of-00002.safetensors",
            shard + 1
        );
        rewrite(
            &golden::path("tiny-sd15").join(UNET),
            &folder.path().join("unet").join(&name),
            |key, shape| (key.len() % 2 == shard).then(|| (key.to_owned(), shape)),
        );
        let file = SafetensorsFile::open(folder.path().join("unet").join(&name)).unwrap();
        index.extend(file.names().into_iter().map(|key| (key, name.clone())));
    }
    fs::remove_file(whole).unwrap();
    let index = serde_json::json!({ "metadata": {}, "weight_map": index });
    let path = folder
        .path()
        .join("unet/diffusion_pytorch_model.safetensors.index.json");
    fs::write(path, index.to_string()).unwrap();
    let model = load(folder.path(), None).unwrap();
    assert_close(
        unet_output(&model),
        &Golden::open("forward/tiny-sd15.safetensors"),
        "unet.out",
        2e-5,
    );
}

#[test]
fn all_tensors_that_do_not_fit_are_reported_at_once() {
    let folder = copy_of("tiny-sd15");
    rewrite(
        &golden::path("tiny-sd15").join(UNET),
        &folder.path().join(UNET),
        |key, shape| match key {
            "conv_in.bias" => None,
            "conv_out.bias" => Some(("conv_out.bais".to_owned(), shape)),
            "mid_block.resnets.0.conv1.bias" => Some((key.to_owned(), vec![8, 8])),
            _ => Some((key.to_owned(), shape)),
        },
    );
    let text = "text_encoder/model.safetensors";
    rewrite(
        &golden::path("tiny-sd15").join(text),
        &folder.path().join(text),
        |key, shape| (key != "text_model.final_layer_norm.weight").then(|| (key.to_owned(), shape)),
    );
    let error = load(folder.path(), None).unwrap_err();
    let CheckpointError::Tensors { problems, .. } = &error else {
        panic!("{error}")
    };
    let missing = |name: &str| {
        problems
            .iter()
            .any(|problem| matches!(problem, TensorProblem::Missing { key, .. } if key == name))
    };
    assert!(missing("conv_in.bias") && missing("conv_out.bias"));
    assert!(missing("text_model.final_layer_norm.weight"));
    assert!(problems.iter().any(|problem| {
        matches!(problem, TensorProblem::Unexpected { key, .. } if key == "conv_out.bais")
    }));
    assert!(problems.iter().any(|problem| {
        matches!(problem, TensorProblem::Shape { key, found, .. }
            if key == "mid_block.resnets.0.conv1.bias" && *found == [8, 8])
    }));
    assert_eq!(problems.len(), 5);
    let message = error.to_string();
    assert!(message.contains("conv_out.bais") && message.contains("model.safetensors"));
}

#[test]
fn another_vae_and_noise_overrule_the_models_own() {
    let golden = Golden::open("forward/tiny-sdxl.safetensors");
    for vae in ["tiny-sdxl/vae", "tiny-sdxl"] {
        let source = ModelSource {
            vae: Some(golden::path(vae)),
            prediction_type: Some(PredictionType::VPrediction),
            zero_terminal_snr: Some(true),
            precision: Precision::F32,
            ..ModelSource::new(golden::path("tiny-sd15"))
        };
        let mut model = BaseModel::load(&source, &device()).unwrap();
        assert_eq!(model.scheduler.prediction_type, PredictionType::VPrediction);
        assert!(model.scheduler.rescale_betas_zero_snr);
        assert!((model.vae.scaling_factor() - 0.13025).abs() < 1e-9);
        // Also when it is read again.
        for _ in 0..2 {
            let picture = model.vae.decode(golden.tensor("vae.decode_in_scaled"));
            assert_close(picture, &golden, "vae.decode_out", 2e-5);
            model.vae.release();
            model.vae.restore().unwrap();
        }
    }
}

#[test]
fn text_encoders_come_back_as_they_were() {
    let name = "tiny-sdxl";
    let mut model = load(&golden::path(name), None).unwrap();
    model.text.release();
    assert_eq!(model.networks().len(), 1);
    model.text.restore().unwrap();
    assert_eq!(model.networks().len(), 3);
    assert_equals_reference(&model, name);
}
