//! `ss_*` and `modelspec.*` entries against a file that sd-scripts wrote.

use std::collections::BTreeMap;

use lora_core::Family;
use lora_core::lora_file::{
    AugmentationFacts, BucketFacts, DatasetFolder, LossFacts, ModelHashes, NoiseFacts, Privacy,
    TrainingFacts, ValidationFacts,
};

use crate::{golden_json, repository};

fn golden() -> BTreeMap<String, String> {
    let golden = golden_json("lora/kohya_metadata_example.json");
    serde_json::from_value(golden["metadata"].clone()).unwrap()
}

/// The facts of the run that wrote the golden file.
fn facts() -> TrainingFacts {
    let golden = golden();
    let tags: BTreeMap<String, BTreeMap<String, u64>> =
        serde_json::from_str(&golden["ss_tag_frequency"]).unwrap();
    let folder = DatasetFolder {
        n_repeats: 10,
        img_count: 6,
    };
    TrainingFacts {
        output_name: "tiny".to_owned(),
        sd_model: Some("/models/tiny-sd15.safetensors".to_owned()),
        sd_model_hashes: Some(
            ModelHashes::of_file(repository("testdata/golden/tiny-sd15.safetensors")).unwrap(),
        ),
        network_dim: 8,
        network_alpha: 4.0,
        learning_rate: 1e-3,
        unet_lr: Some(1e-3),
        text_encoder_lr: Some(1e-4),
        optimizer: "torch.optim.adamw.AdamW".to_owned(),
        seed: 42,
        num_epochs: 4,
        epoch: 4,
        max_train_steps: 120,
        steps: 120,
        batch_size: 2,
        num_batches_per_epoch: 30,
        resolution: (128, 128),
        num_train_images: 60,
        dataset_dirs: BTreeMap::from([("10_sks dog".to_owned(), folder)]),
        tag_frequency: tags,
        session_id: 2_854_685_089,
        training_started_at: 1_795_366_955.247_830_6,
        training_finished_at: 1_795_367_043.285_495_3,
        ..TrainingFacts::default()
    }
}

/// What our files say differently on purpose, or where the file is written.
const EXCEPTIONS: [(&str, Option<&str>); 4] = [
    // The commit of a program that did not write the file.
    ("ss_sd_scripts_commit_hash", None),
    // Names the program that did.
    (
        "modelspec.implementation_version",
        Some(concat!("lora/", env!("CARGO_PKG_VERSION"))),
    ),
    // Computed over the tensors when they are written.
    ("sshs_legacy_hash", None),
    ("sshs_model_hash", None),
];

#[test]
fn every_entry_of_sd_scripts_is_there_and_spelled_alike() {
    let (mut ours, mut theirs) = (facts().metadata(Privacy::Open), golden());
    assert_eq!(theirs.len(), 93);
    for (key, expected) in EXCEPTIONS {
        assert_eq!(ours.remove(key).as_deref(), expected, "{key}");
        assert!(theirs.remove(key).is_some(), "{key}");
    }
    // Tags are counted in the order of the captions there, in alphabetical order here.
    let tags = |metadata: &mut BTreeMap<String, String>| -> serde_json::Value {
        serde_json::from_str(&metadata.remove("ss_tag_frequency").unwrap()).unwrap()
    };
    assert_eq!(tags(&mut ours), tags(&mut theirs));
    assert_eq!(ours, theirs);
}

#[test]
fn families_have_the_names_that_sd_scripts_gives_them() {
    let sgm = "https://github.com/Stability-AI/generative-models";
    for (family, v_prediction, version, v2, architecture, implementation) in [
        (
            Family::Sd1,
            false,
            "sd_v1",
            "False",
            "stable-diffusion-v1/lora",
            "diffusers",
        ),
        (
            Family::Sd1,
            true,
            "sd_v1_v",
            "False",
            "stable-diffusion-v1/lora",
            "diffusers",
        ),
        (
            Family::Sd2,
            false,
            "sd_v2",
            "True",
            "stable-diffusion-v2-512/lora",
            "diffusers",
        ),
        (
            Family::Sd2,
            true,
            "sd_v2_v",
            "True",
            "stable-diffusion-v2-768-v/lora",
            "diffusers",
        ),
        (
            Family::Sdxl,
            false,
            "sdxl_base_v1-0",
            "False",
            "stable-diffusion-xl-v1-base/lora",
            sgm,
        ),
    ] {
        let facts = TrainingFacts {
            family,
            v_prediction,
            resolution: (1024, 768),
            ..facts()
        };
        let ours = facts.metadata(Privacy::Open);
        let prediction = if v_prediction { "v" } else { "epsilon" };
        for (key, expected) in [
            ("ss_base_model_version", version),
            ("ss_v2", v2),
            ("modelspec.architecture", architecture),
            ("modelspec.implementation", implementation),
            ("modelspec.prediction_type", prediction),
            ("modelspec.resolution", "1024x768"),
        ] {
            assert_eq!(ours[key], expected, "{key} of {family}");
        }
    }
}

#[test]
fn what_programs_look_for_is_there() {
    let ours = facts().metadata(Privacy::Open);
    let names = "network_module network_dim network_alpha base_model_version v2 output_name tag_frequency dataset_dirs \
        bucket_info learning_rate unet_lr text_encoder_lr num_epochs epoch steps max_train_steps lr_scheduler optimizer \
        seed mixed_precision clip_skip resolution batch_size_per_device num_train_images training_started_at \
        training_finished_at session_id sd_model_name sd_model_hash new_sd_model_hash";
    for name in names.split_whitespace() {
        assert!(ours.contains_key(&format!("ss_{name}")), "{name}");
    }
}

#[test]
fn a_private_file_tells_no_names_and_no_tags() {
    let facts = facts();
    let (open, private) = (
        facts.metadata(Privacy::Open),
        facts.metadata(Privacy::Private),
    );
    let left_out: Vec<_> = open
        .keys()
        .filter(|key| !private.contains_key(*key))
        .collect();
    assert_eq!(
        left_out,
        [
            "ss_dataset_dirs",
            "ss_reg_dataset_dirs",
            "ss_sd_model_name",
            "ss_tag_frequency"
        ]
    );
    for (key, value) in &private {
        for secret in ["sks dog", "1girl", "tiny-sd15", "/models"] {
            assert!(!value.contains(secret), "{key}: {value}");
        }
    }
}

/// sd-scripts writes all three where `--vae` names a file, and none otherwise.
#[test]
fn another_vae_is_told_by_name_and_hashes() {
    let model = facts();
    let with_vae = TrainingFacts {
        vae: Some("/models/orange.vae.safetensors".to_owned()),
        vae_hashes: model.sd_model_hashes.clone(),
        ..model.clone()
    };
    let (without, with) = (
        model.metadata(Privacy::Open),
        with_vae.metadata(Privacy::Open),
    );
    assert_eq!(with["ss_vae_name"], "orange.vae.safetensors");
    assert_eq!(with["ss_vae_hash"], with["ss_sd_model_hash"]);
    assert_eq!(with["ss_new_vae_hash"], with["ss_new_sd_model_hash"]);
    let added: Vec<_> = with
        .keys()
        .filter(|key| !without.contains_key(*key))
        .collect();
    assert_eq!(added, ["ss_new_vae_hash", "ss_vae_hash", "ss_vae_name"]);
    let private = with_vae.metadata(Privacy::Private);
    assert!(private.contains_key("ss_vae_hash") && !private.contains_key("ss_vae_name"));
}

#[test]
fn a_path_is_never_written() {
    let open = facts().metadata(Privacy::Open);
    assert_eq!(open["ss_sd_model_name"], "tiny-sd15.safetensors");
    assert!(open.values().all(|value| !value.contains("/models")));
}

#[test]
fn settings_that_are_used_show() {
    let facts = TrainingFacts {
        clip_skip: Some(2),
        min_snr_gamma: Some(5.0),
        v_prediction: true,
        timestep_range: Some((0, 500)),
        buckets: BucketFacts {
            enabled: true,
            min_resolution: Some(256),
            ..BucketFacts::default()
        },
        augmentation: AugmentationFacts {
            flip: true,
            face_crop_range: Some("1.0,2.0".to_owned()),
            ..AugmentationFacts::default()
        },
        noise: NoiseFacts {
            multires_iterations: Some(6),
            zero_terminal_snr: true,
            ..NoiseFacts::default()
        },
        loss: LossFacts {
            kind: "huber".to_owned(),
            prior_loss_weight: 0.5,
            ..LossFacts::default()
        },
        validation: ValidationFacts {
            seed: Some(7),
            ..ValidationFacts::default()
        },
        bucket_info: Some(
            serde_json::json!({"buckets": {"0": {"resolution": [512, 768], "count": 3}}}),
        ),
        ..facts()
    };
    let ours = facts.metadata(Privacy::Open);
    for (key, value) in [
        ("ss_clip_skip", "2"),
        ("ss_min_snr_gamma", "5.0"),
        ("ss_enable_bucket", "True"),
        ("ss_min_bucket_reso", "256"),
        ("ss_flip_aug", "True"),
        ("ss_face_crop_aug_range", "1.0,2.0"),
        ("ss_multires_noise_iterations", "6"),
        ("ss_zero_terminal_snr", "True"),
        ("ss_loss_type", "huber"),
        ("ss_prior_loss_weight", "0.5"),
        ("ss_validation_seed", "7"),
        ("modelspec.prediction_type", "v"),
        ("modelspec.timestep_range", "0,500"),
        ("modelspec.encoder_layer", "2"),
        (
            "ss_bucket_info",
            r#"{"buckets": {"0": {"count": 3, "resolution": [512, 768]}}}"#,
        ),
    ] {
        assert_eq!(ours[key], value, "{key}");
    }
}
