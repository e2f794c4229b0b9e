//! `ss_*` and `modelspec.*` entries against a file that sd-scripts wrote.

use std::collections::BTreeMap;

use lora_core::lora_file::{DatasetFolder, ModelHashes, Privacy, TrainingFacts};

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

#[test]
fn every_entry_is_spelled_as_by_sd_scripts() {
    let (mut ours, mut theirs) = (facts().metadata(Privacy::Open), golden());
    // Tags are counted in the order of the captions there, in alphabetical order here.
    let tags = |metadata: &mut BTreeMap<String, String>| -> serde_json::Value {
        serde_json::from_str(&metadata.remove("ss_tag_frequency").unwrap()).unwrap()
    };
    assert_eq!(tags(&mut ours), tags(&mut theirs));
    for (key, value) in &ours {
        assert_eq!(Some(value), theirs.get(key), "{key}");
    }
    assert!(ours.len() >= 50, "{}", ours.len());
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
        ["ss_dataset_dirs", "ss_sd_model_name", "ss_tag_frequency"]
    );
    for (key, value) in &private {
        for secret in ["sks dog", "1girl", "tiny-sd15", "/models"] {
            assert!(!value.contains(secret), "{key}: {value}");
        }
    }
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
        bucket_info: Some(
            serde_json::json!({"buckets": {"0": {"resolution": [512, 768], "count": 3}}}),
        ),
        ..facts()
    };
    let ours = facts.metadata(Privacy::Open);
    for (key, value) in [
        ("ss_clip_skip", "2"),
        ("ss_min_snr_gamma", "5.0"),
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
