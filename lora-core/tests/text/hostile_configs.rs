//! Configs with any value anywhere: an error that names the file, or a model that can be built and computes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor};
use lora_core::{
    BaseModel, Family, ModelConfigs, Precision,
    diffusion::{NoiseSchedule, SamplerKind},
    unet::{AddedConditions, Conditions},
    weights::{Checkpoint, CheckpointError, Component},
};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::repository;

const MODELS: [&str; 3] = ["tiny-sd15", "tiny-sd21", "tiny-sdxl"];
/// The configs of a folder; only SDXL has the last.
const FILES: [&str; 5] = [
    "unet/config.json",
    "vae/config.json",
    "text_encoder/config.json",
    "scheduler/scheduler_config.json",
    "text_encoder_2/config.json",
];
const COMPONENTS: [Component; 4] = [
    Component::UNet,
    Component::Vae,
    Component::TextEncoder,
    Component::TextEncoder2,
];
/// Larger models are built without a number in memory, and not computed with.
const MOST_PARAMETERS: usize = 6_000_000;

/// A folder with the configs of `model` and nothing else.
struct Configs {
    model: &'static str,
    folder: tempfile::TempDir,
}

impl Configs {
    fn of(model: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in FILES {
            let from = repository("testdata/golden").join(model).join(file);
            if from.is_file() {
                let to = folder.path().join(file);
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(from, to).unwrap();
            }
        }
        Self { model, folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Changes one config, if the model has it.
    fn change(&self, file: &str, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
        if let Ok(text) = fs::read(self.path(file)) {
            let mut config: Value = serde_json::from_slice(&text).unwrap();
            change(config.as_object_mut().unwrap());
            fs::write(self.path(file), config.to_string()).unwrap();
        }
    }

    fn set(&self, file: &str, field: &str, value: Value) {
        self.change(file, |config| {
            config.insert(field.to_owned(), value);
        });
    }

    fn read(&self) -> Result<ModelConfigs, CheckpointError> {
        let single = repository("testdata/golden").join(format!("{}.safetensors", self.model));
        ModelConfigs::read(&Checkpoint::open(single, Some(self.folder.path()))?)
    }
}

/// Builds every network without a number in memory, and computes with it where that is cheap.
fn use_all(configs: &ModelConfigs) {
    let parameters = COMPONENTS.map(|component| configs.parameters(component));
    NoiseSchedule::new(&configs.scheduler);
    for kind in SamplerKind::ALL {
        for steps in [1, 3] {
            kind.build(&configs.scheduler, steps);
        }
    }
    assert!(configs.native_side() > 0);
    // The built-in tokenizer's words need their embeddings.
    let few_words = configs.text.iter().any(|text| text.vocab_size < 49408);
    if few_words || parameters.iter().sum::<usize>() > MOST_PARAMETERS {
        return;
    }
    let device = Device::flex();
    let model = BaseModel::seeded(configs, Precision::F32, 1, &device);
    let text = model
        .text
        .encode(&model.text.tokenize(&["a cat".to_owned()], 1), 1);
    let side = 1 << configs.unet.block_out_channels.len();
    let latents = Tensor::<4>::zeros([1, configs.unet.in_channels, side, side], &device);
    let added = text.pooled.map(|pooled| AddedConditions {
        pooled,
        sizes: vec![[64.0; 6]],
    });
    assert_eq!(added.is_some(), configs.family == Family::Sdxl);
    let conditions = Conditions {
        text: text.states,
        added,
    };
    let prediction = model.unet.forward(latents, &[500.0], &conditions);
    let picture = model.vae.decode(prediction.slice([0..1, 0..4, 0..2, 0..2]));
    assert_eq!(model.vae.encode(picture).mean.dims(), [1, 4, 2, 2]);
}

#[test]
fn configs_that_were_not_changed_are_read_and_used() {
    for model in MODELS {
        use_all(&Configs::of(model).read().unwrap());
    }
}

/// Each of these brought a panic, or memory for numbers that nobody has, where it was not refused.
#[test]
fn impossible_sizes_are_refused_by_file_field_and_value() {
    const UNET: &str = FILES[0];
    const VAE: &str = FILES[1];
    const TEXT: &str = FILES[2];
    const NOISE: &str = FILES[3];
    const TEXT_2: &str = FILES[4];
    let cases = [
        (UNET, "block_out_channels", json!([]), "[]"),
        (
            UNET,
            "block_out_channels",
            json!([32, 0, 32, 64]),
            "[32, 0, 32, 64]",
        ),
        (UNET, "block_out_channels", json!(vec![32; 9]), "[32, 32"),
        (UNET, "down_block_types", json!([]), "[]"),
        (UNET, "norm_num_groups", json!(0), "0"),
        (UNET, "norm_num_groups", json!(7), "7 for 32 channels"),
        (UNET, "attention_head_dim", json!(0), "0"),
        (
            UNET,
            "attention_head_dim",
            json!([1, 2, 5, 4]),
            "5 for 32 channels",
        ),
        (UNET, "attention_head_dim", json!([1]), "[1]"),
        (UNET, "num_attention_heads", json!(3), "3 for 32 channels"),
        (UNET, "layers_per_block", json!(0), "0"),
        (UNET, "layers_per_block", json!(1u64 << 40), "1099511627776"),
        (UNET, "transformer_layers_per_block", json!(0), "0"),
        (UNET, "cross_attention_dim", json!(0), "0"),
        (
            UNET,
            "cross_attention_dim",
            json!(13),
            "13 for text of width 12",
        ),
        (UNET, "sample_size", json!(0), "0"),
        (VAE, "block_out_channels", json!([]), "[]"),
        (VAE, "block_out_channels", json!(vec![32; 70]), "[32, 32"),
        (VAE, "norm_num_groups", json!(0), "0"),
        (VAE, "norm_num_groups", json!(5), "5 for 32 channels"),
        (VAE, "layers_per_block", json!(0), "0"),
        (
            VAE,
            "latent_channels",
            json!(16),
            "16 for a UNet of 4 channels",
        ),
        (VAE, "in_channels", json!(1), "1"),
        (VAE, "scaling_factor", json!(0.0), "0"),
        (VAE, "shift_factor", json!(0.1), "0.1"),
        (VAE, "latents_mean", json!([0.5, 0.25]), "[0.5, 0.25]"),
        (VAE, "latents_std", json!([2.0]), "[2.0]"),
        (TEXT, "num_hidden_layers", json!(0), "0"),
        (TEXT, "num_attention_heads", json!(0), "0"),
        (TEXT, "num_attention_heads", json!(5), "5 for 12 channels"),
        (TEXT, "hidden_size", json!(0), "0"),
        (TEXT, "vocab_size", json!(0), "0"),
        (TEXT, "vocab_size", json!(1u64 << 60), "1152921504606846976"),
        (TEXT, "max_position_embeddings", json!(76), "76"),
        (
            NOISE,
            "steps_offset",
            json!(u64::MAX),
            "18446744073709551615",
        ),
        (NOISE, "beta_start", json!(0.0), "0"),
        (NOISE, "num_train_timesteps", json!(1), "1"),
        (
            NOISE,
            "_class_name",
            json!("EDMDPMSolverMultistepScheduler"),
            "EDMDPMSolverMultistepScheduler",
        ),
        (NOISE, "trained_betas", json!([0.1, 0.2]), "2 numbers"),
    ];
    let of_sdxl = [
        (UNET, "addition_time_embed_dim", json!(0), "0"),
        (UNET, "addition_time_embed_dim", json!(3), "3"),
        (
            UNET,
            "projection_class_embeddings_input_dim",
            json!(10),
            "10 for pooled text of width 12 and sizes of width 1536",
        ),
        (TEXT_2, "projection_dim", json!(0), "0"),
        (TEXT_2, "hidden_size", json!(14), "20 for text of width 22"),
    ];
    let cases = cases.into_iter().map(|case| ("tiny-sd15", case));
    let of_sdxl = of_sdxl.into_iter().map(|case| ("tiny-sdxl", case));
    for (model, (file, field, value, shown)) in cases.chain(of_sdxl) {
        let configs = Configs::of(model);
        configs.set(file, field, value);
        let error = configs.read().unwrap_err();
        assert_refused(&error, &configs, (file, field), shown);
    }
}

#[track_caller]
fn assert_refused(
    error: &CheckpointError,
    configs: &Configs,
    (file, field): (&str, &str),
    shown: &str,
) {
    let CheckpointError::Unsupported {
        path,
        field: found,
        value,
    } = error
    else {
        panic!("{file} {field}: {error}");
    };
    // A width that does not fit its neighbours is the neighbour's fault as well.
    let named = path == &configs.path(file) && *found == field;
    assert!(
        named || *found == "cross_attention_dim",
        "{file} {field}: {error}"
    );
    assert!(value.starts_with(shown), "{file} {field}: {error}");
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        0..20u64,
        prop::sample::select(vec![
            32,
            64,
            77,
            96,
            100,
            256,
            1 << 12,
            1 << 20,
            1 << 40,
            u64::MAX
        ]),
    ];
    prop_oneof![
        4 => number.clone().prop_map(Value::from),
        2 => prop::collection::vec(number, 0..6).prop_map(Value::from),
        1 => prop::sample::select(vec![
            Value::Null,
            json!(-1),
            json!(0.5),
            json!(1e300),
            json!(true),
            json!(false),
            json!("x"),
            json!("gelu"),
            json!([[1], [2]]),
            json!({}),
            json!(["DownBlock2D"]),
        ]),
    ]
}

/// A file, a field of it, and a value; `true` changes one element where the field is a list.
fn change() -> impl Strategy<Value = (usize, prop::sample::Index, Value, bool)> {
    (
        0..FILES.len(),
        any::<prop::sample::Index>(),
        value(),
        any::<bool>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn no_config_panics(model in 0..MODELS.len(), changes in prop::collection::vec(change(), 1..3)) {
        let configs = Configs::of(MODELS[model]);
        for (file, field, value, inside) in changes {
            configs.change(FILES[file], |config| {
                let index = field.index(config.len());
                let (_, old) = config.iter_mut().nth(index).unwrap();
                match old {
                    Value::Array(list) if inside && !list.is_empty() => {
                        let place = field.index(list.len());
                        list[place] = value;
                    }
                    _ => *old = value,
                }
            });
        }
        match configs.read() {
            Ok(read) => use_all(&read),
            Err(error) => prop_assert!(names_a_path(&error, configs.folder.path()), "{error}"),
        }
    }
}

fn names_a_path(error: &CheckpointError, folder: &Path) -> bool {
    let message = error.to_string();
    message.contains(&folder.display().to_string()) || message.contains(".safetensors")
}
