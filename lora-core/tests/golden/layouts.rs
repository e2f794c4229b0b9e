//! Both layouts of every family give the same tensors, and what is no base model is called by its name.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, FloatDType};
use lora_core::{
    Family, ModelConfigs,
    safetensors_file::{RawTensor, SafetensorsFile},
    weights::{
        Checkpoint, CheckpointError, Component, OtherModel, Place, StoredTensor, TensorProblem,
        Weights,
    },
};
use safetensors::{
    Dtype,
    tensor::{TensorView, serialize_to_file},
};

use crate::golden::path;

/// A network, and its file in a diffusers folder.
type Network = (Component, &'static str);

/// The tiny models, with their families and components.
const MODELS: [(&str, Family, &[Network]); 3] = [
    ("tiny-sd15", Family::Sd1, &ONE_TEXT),
    ("tiny-sd21", Family::Sd2, &ONE_TEXT),
    ("tiny-sdxl", Family::Sdxl, &TWO_TEXTS),
];
const UNET: Network = (Component::UNet, "unet/diffusion_pytorch_model.safetensors");
const VAE: Network = (Component::Vae, "vae/diffusion_pytorch_model.safetensors");
const TEXT: Network = (Component::TextEncoder, "text_encoder/model.safetensors");
const TEXT_2: Network = (Component::TextEncoder2, "text_encoder_2/model.safetensors");
const ONE_TEXT: [Network; 3] = [UNET, VAE, TEXT];
const TWO_TEXTS: [Network; 4] = [UNET, VAE, TEXT, TEXT_2];

fn single_file(model: &str) -> PathBuf {
    path(&format!("{model}.safetensors"))
}

fn raw(checkpoint: &Checkpoint, component: Component, key: &str, shape: &[usize]) -> RawTensor {
    let tensors = checkpoint.tensors(component).unwrap();
    match tensors.find(key, shape) {
        Ok(StoredTensor::Raw(raw)) => raw,
        other => panic!("{key}: {other:?}"),
    }
}

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

/// Asks for every tensor of a diffusers file, as a network would.
fn ask_for_all(file: &SafetensorsFile, weights: &Weights<'_>) {
    for name in file.names() {
        let (module, tensor) = name.rsplit_once('.').unwrap();
        let at = weights.at(module);
        match *file.info(&name).unwrap().shape {
            [a] => drop(at.tensor(tensor, [a])),
            [a, b] => drop(at.tensor(tensor, [a, b])),
            [a, b, c, d] => drop(at.tensor(tensor, [a, b, c, d])),
            ref shape => panic!("{name}: {shape:?}"),
        }
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
                let dtype = FloatDType::F16;
                checkpoint
                    .build(*component, &device, dtype, &mut problems, ask)
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
    let dtype = FloatDType::F32;
    checkpoint
        .build(VAE.0, &Device::flex(), dtype, &mut problems, ask)
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

/// By extension, by content whatever the extension, and in a folder: never opened, and the way out is told.
#[test]
fn files_of_pytorch_are_refused_with_the_command_that_converts_them() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |path: &Path, error: CheckpointError, converted: &str| {
        let CheckpointError::PyTorch { path: found, .. } = &error else {
            panic!("{error}")
        };
        assert_eq!(found, path);
        let message = error.to_string();
        assert!(message.contains("python -c") && message.contains("weights_only=True"));
        assert!(message.ends_with(&format!("{converted}\"")), "{message}");
    };
    let cases: [(&str, &[u8]); 4] = [
        ("model.ckpt", b"anything"),
        ("model.PT", b""),
        ("renamed.safetensors", b"PK\x03\x04 and so on"),
        (
            "older.safetensors",
            b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
        ),
    ];
    for (name, bytes) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let converted = path.with_extension("safetensors").display().to_string();
        refused(
            &path,
            Checkpoint::open(&path, None).unwrap_err(),
            &converted,
        );
        refused(
            &path,
            Checkpoint::open_vae(&path, None).unwrap_err(),
            &converted,
        );
    }
    let pickled = folder.path().join("diffusion_pytorch_model.bin");
    fs::write(&pickled, b"anything").unwrap();
    let error = Checkpoint::open_vae(folder.path(), None).unwrap_err();
    refused(&pickled, error, "diffusion_pytorch_model.safetensors");
}

/// The header is 640 bytes long, whose first two are those of a pickle.
#[test]
fn a_safetensors_file_that_begins_like_a_pickle_is_read() {
    let json = format!(
        r#"{{"__metadata__":{{"a":"{}"}},"t":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}}}"#,
        "x".repeat(400)
    );
    let file = [&640u64.to_le_bytes()[..], format!("{json:640}").as_bytes()].concat();
    assert_eq!(file[..2], *b"\x80\x02");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, file).unwrap();
    assert!(matches!(
        Checkpoint::open(&path, None),
        Err(CheckpointError::OtherModel { .. })
    ));
}

/// Writes tensors of zeros, or copies of a file's tensors under other names.
fn write(to: &Path, tensors: &[(String, RawTensor)]) {
    let views = tensors.iter().map(|(name, tensor)| {
        let view = TensorView::new(tensor.dtype, tensor.shape.clone(), &tensor.bytes);
        (name, view.unwrap())
    });
    serialize_to_file(views, None, to).unwrap();
}

fn zeros(name: &str, shape: &[usize]) -> (String, RawTensor) {
    let tensor = RawTensor {
        dtype: Dtype::F16,
        shape: shape.to_vec(),
        bytes: vec![0; 2 * shape.iter().product::<usize>()],
    };
    (name.to_owned(), tensor)
}

fn open(tensors: &[(String, RawTensor)]) -> Result<Checkpoint, CheckpointError> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.safetensors");
    write(&file, tensors);
    Checkpoint::open(&file, None)
}

const CONVOLUTION: &str = "model.diffusion_model.input_blocks.0.0.weight";

fn attention(block: usize) -> String {
    format!("model.diffusion_model.input_blocks.{block}.1.transformer_blocks.0.attn2.to_k.weight")
}

#[test]
fn published_widths_need_no_config() {
    let published = [
        (
            Family::Sd1,
            1,
            [320, 768],
            "cond_stage_model.transformer.text_model.a",
        ),
        (
            Family::Sd2,
            1,
            [320, 1024],
            "cond_stage_model.model.ln_final.bias",
        ),
        (
            Family::Sdxl,
            4,
            [640, 2048],
            "conditioner.embedders.1.model.ln_final.bias",
        ),
    ];
    for (family, block, width, text) in published {
        let mut tensors = vec![
            zeros(CONVOLUTION, &[320, 4, 3, 3]),
            zeros(&attention(block), &width),
            zeros(text, &[1]),
        ];
        let checkpoint = open(&tensors).unwrap();
        assert_eq!(checkpoint.family(), family);
        assert!(!checkpoint.marks_v_prediction());
        let unet: serde_json::Value = checkpoint.config(Component::UNet).unwrap();
        assert_eq!(unet["cross_attention_dim"], width[1]);

        tensors.push(zeros("v_pred", &[0]));
        assert!(open(&tensors).unwrap().marks_v_prediction());

        tensors[1] = zeros(&attention(block), &[width[0], 16]);
        let error = open(&tensors).unwrap_err();
        assert!(
            matches!(error, CheckpointError::ConfigNeeded { family: found, .. } if found == family),
            "{error}"
        );
    }
}

#[test]
fn other_models_are_called_by_their_names() {
    let text = "cond_stage_model.transformer.text_model.a";
    let unet = |channels| {
        open(&[
            zeros(CONVOLUTION, &[320, channels, 3, 3]),
            zeros(text, &[1]),
        ])
    };
    let one = |name: &str| open(&[zeros(name, &[1])]);
    let refiner = open(&[
        zeros(CONVOLUTION, &[384, 4, 3, 3]),
        zeros("conditioner.embedders.0.model.ln_final.bias", &[1]),
    ]);
    let only_unet = open(&[zeros(CONVOLUTION, &[320, 4, 3, 3])]);
    let cases = [
        (unet(9), "an inpainting model", "text-to-image"),
        (unet(8), "instruct-pix2pix", "text-to-image"),
        (refiner, "SDXL's refiner", "SDXL base"),
        (only_unet, "without its text encoders", "VAE"),
        (
            one("model.diffusion_model.joint_blocks.0.x_block.attn.qkv.weight"),
            "Stable Diffusion 3",
            "SDXL",
        ),
        (one("double_blocks.0.img_attn.qkv.weight"), "Flux", "SDXL"),
        (
            one("lora_unet_a.lora_down.weight"),
            "a LoRA",
            "as the model",
        ),
        (
            one("first_stage_model.encoder.conv_in.bias"),
            "a VAE",
            "as its VAE",
        ),
        (
            one("down_blocks.0.resnets.0.conv1.bias"),
            "one network",
            "folder",
        ),
        (one("something"), "no Stable Diffusion checkpoint", "SDXL"),
    ];
    for (opened, what, advice) in cases {
        let error = opened.unwrap_err();
        assert!(
            matches!(error, CheckpointError::OtherModel { .. }),
            "{error}"
        );
        let message = error.to_string();
        assert!(
            message.contains("model.safetensors")
                && message.contains(what)
                && message.contains(advice),
            "{message}"
        );
    }
}

#[test]
fn folders_of_other_models_are_called_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let found = || match Checkpoint::open(folder.path(), None).unwrap_err() {
        CheckpointError::OtherModel { found, .. } => found,
        other => panic!("{other}"),
    };
    write("model_index.json", r#"{"_class_name": "FluxPipeline"}"#);
    assert_eq!(found(), OtherModel::Architecture("FluxPipeline".to_owned()));
    write("unet/config.json", r#"{"in_channels": 9}"#);
    assert_eq!(found(), OtherModel::Channels(9));
    write(
        "unet/config.json",
        r#"{"addition_embed_type": "text_time"}"#,
    );
    write("text_encoder_2/config.json", "{}");
    assert_eq!(found(), OtherModel::Refiner);
}

#[test]
fn a_config_of_another_family_is_refused() {
    let config = path("tiny-sd15");
    let error = Checkpoint::open(single_file("tiny-sd21"), Some(&config)).unwrap_err();
    assert!(
        matches!(error, CheckpointError::ConfigOfOtherFamily { .. }),
        "{error}"
    );
    let message = error.to_string();
    assert!(
        message.contains("tiny-sd21.safetensors") && message.contains("SD 1.x"),
        "{message}"
    );
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
        .build(TEXT.0, &Device::flex(), FloatDType::F16, &mut problems, ask)
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
