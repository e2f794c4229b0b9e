//! What a file or folder is; what is no base model is called by its name.

use std::{fs, path::Path};

use lora_core::{
    Family,
    weights::{Checkpoint, CheckpointError, Component, OtherModel},
};

use crate::{
    golden::path,
    model_files::{CONVOLUTION, open, published, single_file, zeros},
};

#[test]
fn published_widths_need_no_config() {
    for (family, width) in [
        (Family::Sd1, 768),
        (Family::Sd2, 1024),
        (Family::Sdxl, 2048),
    ] {
        let mut tensors = published(family);
        let checkpoint = open(&tensors).unwrap();
        assert_eq!(checkpoint.family(), family);
        let unet: serde_json::Value = checkpoint.config(Component::UNet).unwrap();
        assert_eq!(unet["cross_attention_dim"], width);

        let (name, _) = &tensors[1];
        tensors[1] = zeros(name, &[320, 16]);
        let error = open(&tensors).unwrap_err();
        assert!(
            matches!(error, CheckpointError::ConfigNeeded { family: found, .. } if found == family),
            "{error}"
        );
    }
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
fn other_models_are_called_by_their_names() {
    let text = "cond_stage_model.transformer.text_model.a";
    let unet = |channels| {
        open(&[
            zeros(CONVOLUTION, &[320, channels, 3, 3]),
            zeros(text, &[1]),
        ])
    };
    let marked = |mark: &str| {
        open(&[
            zeros(CONVOLUTION, &[320, 4, 3, 3]),
            zeros("conditioner.embedders.1.model.ln_final.bias", &[1]),
            zeros(mark, &[1]),
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
        (marked("edm_vpred.sigma_max"), "CosXL", "SDXL"),
        (marked("edm_mean"), "Playground 2.5", "SDXL"),
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
