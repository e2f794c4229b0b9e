//! The kohya_ss GUI: what its `lora_gui.py` makes of its fields before it calls sd-scripts.

use lora_core::Family;
use toml::{Table, Value};

use super::{
    ImportError,
    argument_list::arguments,
    foreign_file::ForeignFile,
    importer::Importer,
    options::{Given, Options},
    values,
};

/// Fields that are an option of another name.
const RENAMED: [(&str, &str); 6] = [
    ("max_resolution", "resolution"),
    ("optimizer", "optimizer_type"),
    ("lora_network_weights", "network_weights"),
    (
        "sdxl_cache_text_encoder_outputs",
        "cache_text_encoder_outputs",
    ),
    ("sdxl_no_half_vae", "no_half_vae"),
    (
        "stop_text_encoder_training_pct",
        "stop_text_encoder_training",
    ),
];

/// Kinds of networks: the module and the algorithm that each is.
const KINDS: [(&str, &str, &str); 13] = [
    ("Standard", "networks.lora", ""),
    ("Kohya LoCon", "networks.lora", ""),
    ("LoRA-FA", "networks.lora_fa", ""),
    ("Kohya LoHa", "networks.loha", ""),
    ("Kohya LoKr", "networks.lokr", ""),
    ("Kohya DyLoRA", "networks.dylora", ""),
    ("LoCon", "lycoris.kohya", "locon"),
    ("LyCORIS/LoCon", "lycoris.kohya", "locon"),
    ("LyCORIS/LoHa", "lycoris.kohya", "loha"),
    ("LyCORIS/LoKr", "lycoris.kohya", "lokr"),
    ("LyCORIS/Native Fine-Tuning", "lycoris.kohya", "full"),
    ("LyCORIS/Diag-OFT", "lycoris.kohya", "diag-oft"),
    ("LyCORIS/iA3", "lycoris.kohya", "ia3"),
];

/// Parts of `network_args` that kohya's own networks get, those with convolutions, and those that LyCORIS' get.
const OF_KOHYA: &[&str] = &[
    "down_lr_weight",
    "mid_lr_weight",
    "up_lr_weight",
    "block_lr_zero_threshold",
    "block_dims",
    "block_alphas",
    "conv_block_dims",
    "conv_block_alphas",
    "rank_dropout",
    "module_dropout",
];
const OF_CONVOLUTIONS: &[&str] = &["conv_dim", "conv_alpha"];
const OF_LYCORIS: &[&str] = &[
    "LyCORIS_preset",
    "use_tucker",
    "rank_dropout",
    "module_dropout",
    "bypass_mode",
    "dora_wd",
    "use_scalar",
    "rank_dropout_scale",
    "train_norm",
    "use_cp",
    "decompose_both",
    "factor",
    "constrain",
    "rescaled",
    "unit",
    "train_on_input",
];
const OF_ALL: &[&str] = &[
    "loraplus_lr_ratio",
    "loraplus_unet_lr_ratio",
    "loraplus_text_encoder_lr_ratio",
];

/// Fields for models that are not here, beside those that begin as [`OTHER_PREFIXES`].
const OTHER_MODELS: [&str; 51] = [
    "ae",
    "apply_t5_attn_mask",
    "blocks_to_swap",
    "clip_g",
    "clip_g_dropout_rate",
    "clip_l",
    "conv_alphas",
    "conv_dims",
    "discrete_flow_shift",
    "double_blocks_to_swap",
    "enable_all_linear",
    "ggpo_beta",
    "ggpo_sigma",
    "guidance_scale",
    "img_attn_dim",
    "img_mlp_dim",
    "img_mod_dim",
    "in_dims",
    "logit_mean",
    "logit_std",
    "mem_eff_save",
    "mode_scale",
    "model_prediction_type",
    "model_type",
    "no_token_padding",
    "pos_emb_random_crop_rate",
    "save_clip",
    "save_t5xxl",
    "show_timesteps",
    "show_timesteps_resolution",
    "single_blocks_to_swap",
    "single_dim",
    "single_mod_dim",
    "split_mode",
    "split_qkv",
    "t5xxl",
    "t5xxl_device",
    "t5xxl_dtype",
    "t5xxl_lr",
    "t5xxl_max_token_length",
    "timestep_sampling",
    "train_blocks",
    "train_double_block_indices",
    "train_lora_ggpo",
    "train_single_block_indices",
    "train_t5xxl",
    "txt_attn_dim",
    "txt_mlp_dim",
    "txt_mod_dim",
    "weighting_scheme",
    "text_encoder",
];
const OTHER_PREFIXES: [&str; 5] = ["anima_", "flux1_", "hunyuan_", "lumina_", "sd3_"];

/// Fields of the page and of the launcher.
const OF_THE_PAGE: [&str; 17] = [
    "dynamo_mode",
    "dynamo_use_dynamic",
    "dynamo_use_fullgraph",
    "extra_accelerate_launch_args",
    "file_path",
    "gpu_ids",
    "headless",
    "lowvram",
    "main_process_port",
    "model_list",
    "num_cpu_threads_per_process",
    "num_machines",
    "num_processes",
    "print_only",
    "save_as_bool",
    "use_wandb",
    "LyCORIS_preset_file",
];

/// # Errors
/// When it is for another kind of model.
pub(super) fn translate(file: &ForeignFile) -> Result<Importer, ImportError> {
    let mut table = file.flat.clone();
    let mut importer = Importer::new(Options::default());
    other_kinds(file, &table)?;
    if table
        .get("sdxl")
        .is_some_and(|value| !values::is_off(value))
    {
        importer.family = Family::Sdxl;
    }
    network(&mut importer, &mut table);
    length(&mut importer, &mut table);
    rates(&mut importer, &mut table);
    noise(&mut importer, &mut table);
    if let Some(value) = table.remove("seed") {
        let given = Given::new("seed", value);
        if values::is_off(&given.value) {
            importer.not_needed(
                &given,
                "without a number a seed is drawn; here train.seed says it",
            );
        } else {
            importer.options.set("seed", given);
        }
    }
    let further = table.remove("additional_parameters");
    for (key, value) in table {
        field(&mut importer, &key, value);
    }
    if let Some(value) = further {
        let given = Given::new("additional_parameters", value);
        let arguments = arguments(&values::text(&given.value));
        importer.not_needed(
            &given,
            if arguments.is_empty() {
                "it is empty"
            } else {
                "its options are told one by one"
            },
        );
        for (option, value) in arguments {
            let given = Given::new(format!("additional_parameters: {option}"), value);
            importer.options.set(&option, given);
        }
    }
    Ok(importer)
}

fn other_kinds(file: &ForeignFile, table: &Table) -> Result<(), ImportError> {
    let other = |kind: &str| ImportError::OtherKind {
        path: file.path.clone(),
        kind: kind.to_owned(),
    };
    for (checkbox, kind) in [
        ("flux1_checkbox", "Flux"),
        ("sd3_checkbox", "SD 3"),
        ("hunyuan_image_checkbox", "HunyuanImage"),
        ("anima_checkbox", "Anima"),
        ("lumina_checkbox", "Lumina"),
        ("train_inpainting", "inpainting"),
    ] {
        if table
            .get(checkbox)
            .is_some_and(|value| !values::is_off(value))
        {
            return Err(other(kind));
        }
    }
    let kind = table.get("LoRA_type").map(values::text).unwrap_or_default();
    match kind.as_str() {
        "Flux1" | "Flux1 OFT" | "HunyuanImage-2.1" | "Anima" | "Lumina" => Err(other(&kind)),
        _ => Ok(()),
    }
}

fn network(importer: &mut Importer, table: &mut Table) {
    let kind = table
        .remove("LoRA_type")
        .map(|value| values::text(&value))
        .unwrap_or_default();
    let given = |value: &str| Given::new("LoRA_type", value);
    let small = kind.rsplit('/').next().unwrap_or_default().to_lowercase();
    let (module, algorithm) = match KINDS.iter().find(|(name, ..)| *name == kind) {
        Some((_, module, algorithm)) => (*module, *algorithm),
        None => ("lycoris.kohya", small.as_str()),
    };
    let is_lycoris = module == "lycoris.kohya";
    if is_lycoris {
        importer.options.set_network("algo", given(algorithm));
        // The kind was told by its algorithm.
        importer
            .options
            .set("network_module", Given::new("", module));
    } else {
        importer.options.set("network_module", given(module));
    }
    let takes_convolutions = !matches!(kind.as_str(), "Standard" | "LoRA-FA");
    let used = |part: &str| {
        OF_ALL.contains(&part)
            || (takes_convolutions && OF_CONVOLUTIONS.contains(&part))
            || (is_lycoris && OF_LYCORIS.contains(&part))
            || (!is_lycoris && OF_KOHYA.contains(&part))
    };
    for part in [OF_ALL, OF_KOHYA, OF_CONVOLUTIONS, OF_LYCORIS].concat() {
        let Some(value) = table.remove(part) else {
            continue;
        };
        let given = Given::new(part, value);
        if !used(part) {
            importer.not_needed(&given, &format!("{kind} has no such setting"));
            continue;
        }
        let name = match part {
            "LyCORIS_preset" => "preset",
            "constrain" => "constraint",
            part => part,
        };
        importer.options.set_network(name, given);
    }
}

fn length(importer: &mut Importer, table: &mut Table) {
    let is_on =
        |table: &Table, key: &str| table.get(key).is_some_and(|value| !values::is_off(value));
    let cycles = table
        .get("lr_scheduler_num_cycles")
        .is_some_and(|value| values::text(value).is_empty());
    if let Some(value) = table.remove("epoch") {
        if cycles {
            table.insert("lr_scheduler_num_cycles".to_owned(), value.clone());
        }
        let given = Given::new("epoch", value);
        if is_on(table, "max_train_epochs") {
            importer.not_needed(&given, "max_train_epochs goes before it");
        } else if is_on(table, "max_train_steps") {
            importer.not_needed(&given, "max_train_steps goes before it");
        } else if is_on(table, "dataset_config") {
            importer.not_needed(
                &given,
                "beside a dataset_config the GUI goes by max_train_steps alone",
            );
        } else {
            for key in ["max_train_epochs", "max_train_steps"] {
                if let Some(value) = table.remove(key) {
                    importer.not_needed(&Given::new(key, value), "it is off, so epoch counts");
                }
            }
            importer.options.set("max_train_epochs", given);
        }
    }
    // A percentage, and steps that go before it.
    if let Some(value) = table.remove("lr_warmup") {
        let percent = values::number(&value).filter(|percent| *percent > 0.0);
        let given = Given::new("lr_warmup", value);
        match percent {
            Some(percent) if !is_on(table, "lr_warmup_steps") => {
                if let Some(value) = table.remove("lr_warmup_steps") {
                    importer.not_needed(
                        &Given::new("lr_warmup_steps", value),
                        "it is off, so lr_warmup counts",
                    );
                }
                let fraction = (percent / 100.0).min(0.99);
                importer
                    .options
                    .set("lr_warmup_steps", Given::new("lr_warmup", fraction));
            }
            Some(_) => importer.not_needed(&given, "lr_warmup_steps goes before it"),
            None => importer.not_needed(&given, "it is off, as here"),
        }
    }
}

/// Rates of 0 leave a side out, but for both: then `learning_rate` counts.
fn rates(importer: &mut Importer, table: &mut Table) {
    let keys = ["unet_lr", "text_encoder_lr"];
    if keys
        .iter()
        .all(|key| table.get(*key).is_none_or(values::is_off))
    {
        for key in keys {
            if let Some(value) = table.remove(key) {
                importer.not_needed(
                    &Given::new(key, value),
                    "both rates are 0, so learning_rate counts",
                );
            }
        }
    }
}

fn noise(importer: &mut Importer, table: &mut Table) {
    let kind = table.get("noise_offset_type");
    let kind = kind.map_or_else(|| "Original".to_owned(), values::text);
    let unused: &[&str] = if kind == "Multires" {
        &[
            "noise_offset",
            "noise_offset_random_strength",
            "adaptive_noise_scale",
        ]
    } else {
        &["multires_noise_iterations", "multires_noise_discount"]
    };
    for key in unused {
        if let Some(value) = table.remove(*key) {
            importer.not_needed(
                &Given::new(*key, value),
                &format!("noise_offset_type is {kind}"),
            );
        }
    }
}

fn field(importer: &mut Importer, key: &str, value: Value) {
    let given = Given::new(key, value);
    let is_other =
        OTHER_MODELS.contains(&key) || OTHER_PREFIXES.iter().any(|prefix| key.starts_with(prefix));
    if let Some((_, option)) = RENAMED.iter().find(|(theirs, _)| *theirs == key) {
        importer.options.set(option, given);
    } else if is_other {
        importer.not_needed(
            &given,
            "it is for other models than Stable Diffusion 1, 2 and XL",
        );
    } else if key == "multi_gpu" && !values::is_off(&given.value) {
        importer.not_supported(
            &given,
            "name the devices in train.device and train.more_devices",
        );
    } else if key == "multi_gpu" || OF_THE_PAGE.contains(&key) {
        importer.not_needed(
            &given,
            "it is about the page, or about how Python is started",
        );
    } else if key == "sdxl" {
        importer.not_needed(&given, "the family is seen from the model's tensors");
    } else if key == "noise_offset_type" {
        importer.not_needed(&given, "it says which of the settings of noise count");
    } else if key == "train_inpainting" {
        importer.not_needed(&given, "it is off, as here");
    } else {
        importer.options.set(key, given);
    }
}
