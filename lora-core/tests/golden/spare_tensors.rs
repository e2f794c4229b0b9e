//! What files carry beside the networks' weights: some is passed over, everything else is an error.

use burn::tensor::Device;
use lora_core::{
    Family, Precision,
    safetensors_file::{RawTensor, SafetensorsFile},
    weights::{Checkpoint, TensorProblem, Weights},
};
use safetensors::Dtype;

use crate::{
    golden::path,
    model_files::{MODELS, Network, TEXT, ask_for_all, copy_of, single_file, write, zeros},
};

/// What files of every family have been seen with.
const ANYWHERE: [&str; 15] = [
    "alphas_cumprod",
    "betas",
    "log_one_minus_alphas_cumprod",
    "sqrt_recip_alphas_cumprod",
    "denoiser.sigmas",
    "v_pred",
    "ztsnr",
    "global_step",
    "logvar",
    "scale_factor",
    "embedding_manager.embedder.logit_scale",
    "model_ema.decay",
    "model_ema.num_updates",
    "model_ema.diffusion_modelinput_blocks00weight",
    "first_stage_model.loss.logvar",
];

/// What files of one family have been seen with: a text encoder's counts, scale and projection.
fn of_family(family: Family) -> &'static [&'static str] {
    match family {
        Family::Sd1 => &[
            "cond_stage_model.transformer.text_model.embeddings.position_ids",
            "cond_stage_model.transformer.text_projection.weight",
            "cond_stage_model.transformer.logit_scale",
            "cond_stage_model.logit_scale",
        ],
        Family::Sd2 => &[
            "cond_stage_model.model.transformer.text_model.embeddings.position_ids",
            "cond_stage_model.model.text_projection",
            "cond_stage_model.model.text_projection.weight",
            "cond_stage_model.model.logit_scale",
            "cond_stage_model.logit_scale",
        ],
        Family::Sdxl => &[
            "conditioner.embedders.0.transformer.text_model.embeddings.position_ids",
            "conditioner.embedders.0.transformer.text_projection.weight",
            "conditioner.embedders.0.logit_scale",
            "conditioner.embedders.1.model.transformer.text_model.embeddings.position_ids",
            "conditioner.embedders.1.model.logit_scale",
            "conditioner.embedders.1.logit_scale",
        ],
    }
}

/// Slips of a letter in each network's weights.
fn misspelt(family: Family) -> &'static [&'static str] {
    match family {
        Family::Sd1 => &[
            "model.diffusion_model.input_blocks.0.0.wieght",
            "model.diffusion_model.position_ids",
            "first_stage_model.encoder.conv_in.wieght",
            "cond_stage_model.transformer.text_model.embeddings.positions_ids",
            "cond_stage_model.transformer.text_model.final_layer_norm.wieght",
        ],
        Family::Sd2 => &[
            "model.diffusion_model.logit_scale",
            "first_stage_model.text_projection",
            "cond_stage_model.model.ln_final.wieght",
            "cond_stage_model.model.transformer.resblocks.0.ln_1.wieght",
            "cond_stage_model.model.text_projections",
        ],
        Family::Sdxl => &[
            "model.diffusion_model.label_emb.0.0.wieght",
            "conditioner.embedders.0.transformer.text_model.final_layer_norm.wieght",
            "conditioner.embedders.1.model.text_projektion",
            "conditioner.embedders.1.model.transformer.resblocks.9.ln_1.weight",
        ],
    }
}

fn tensors_of(file: &SafetensorsFile) -> Vec<(String, RawTensor)> {
    let names = file.names().into_iter();
    names
        .map(|name| (name.clone(), file.read(&name).unwrap()))
        .collect()
}

/// Adds a tensor of zeros in F32, whatever the file's own are, unless there is one of that name.
fn add(tensors: &mut Vec<(String, RawTensor)>, name: &str) {
    if tensors.iter().all(|(known, _)| known != name) {
        let (_, tensor) = zeros(name, &[2]);
        let tensor = RawTensor {
            dtype: Dtype::F32,
            shape: vec![1],
            ..tensor
        };
        tensors.push((name.to_owned(), tensor));
    }
}

/// The keys that are said to be too many when every network of `model` asks for what the diffusers folder has.
fn unexpected(checkpoint: &Checkpoint, model: &str, components: &[Network]) -> Vec<String> {
    let mut problems = Vec::new();
    for (component, file) in components {
        let file = SafetensorsFile::open(path(model).join(file)).unwrap();
        let ask = |weights: &Weights<'_>| ask_for_all(&file, weights);
        let (device, format) = (Device::flex(), Precision::F32);
        checkpoint
            .build(*component, &device, format, &mut problems, ask)
            .unwrap();
    }
    let keys = problems.into_iter().map(|problem| match problem {
        TensorProblem::Unexpected { key, .. } => key,
        other => panic!("{other}"),
    });
    keys.collect()
}

#[test]
fn what_the_community_adds_to_single_files_is_passed_over() {
    for (model, family, components) in MODELS {
        let mut tensors = tensors_of(&SafetensorsFile::open(single_file(model)).unwrap());
        for name in ANYWHERE.iter().chain(of_family(family)) {
            add(&mut tensors, name);
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        write(&file, &tensors);
        let checkpoint = Checkpoint::open(&file, Some(&path(model))).unwrap();
        assert_eq!(unexpected(&checkpoint, model, components), [""; 0]);
    }
}

#[test]
fn a_misspelt_weight_is_not_passed_over() {
    for (model, family, components) in MODELS {
        let mut tensors = tensors_of(&SafetensorsFile::open(single_file(model)).unwrap());
        for name in misspelt(family) {
            add(&mut tensors, name);
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.safetensors");
        write(&file, &tensors);
        let checkpoint = Checkpoint::open(&file, Some(&path(model))).unwrap();
        let mut found = unexpected(&checkpoint, model, components);
        found.sort_unstable();
        let mut expected = misspelt(family).to_vec();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

/// A whole CLIP text model saved by transformers: positions, projection and scale that SD 1.x does not use.
#[test]
fn spare_tensors_of_folders_are_passed_over_in_text_encoders_alone() {
    let folder = copy_of("tiny-sd15");
    let spare = [
        "text_model.embeddings.position_ids",
        "text_projection.weight",
        "logit_scale",
    ];
    let with_spare = |file: &str| {
        let path = folder.path().join(file);
        let mut tensors = tensors_of(&SafetensorsFile::open(&path).unwrap());
        for name in spare {
            add(&mut tensors, name);
        }
        write(&path, &tensors);
        let checkpoint = Checkpoint::open(folder.path(), None).unwrap();
        let (_, _, components) = MODELS[0];
        unexpected(&checkpoint, "tiny-sd15", components)
    };
    assert_eq!(with_spare(TEXT.1), [""; 0]);
    let (_, _, [unet, ..]) = MODELS[0] else {
        panic!("a model has a UNet");
    };
    let mut found = with_spare(unet.1);
    found.sort_unstable();
    let mut expected = spare;
    expected.sort_unstable();
    assert_eq!(found, expected);
}
