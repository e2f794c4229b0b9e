//! 秋叶's lora-scripts: kohya's options, those of its own pages, and prompts taken apart.

use toml::{Table, Value};

use super::{
    ImportError,
    foreign_file::ForeignFile,
    importer::Importer,
    options::{Given, Options},
    values,
};

/// Keys that are an option or a part of `network_args` of another name.
const NETWORK: [(&str, &str); 12] = [
    ("lycoris_algo", "algo"),
    ("conv_dim", "conv_dim"),
    ("conv_alpha", "conv_alpha"),
    ("dropout", "dropout"),
    ("train_norm", "train_norm"),
    ("lokr_factor", "factor"),
    ("dylora_unit", "unit"),
    ("down_lr_weight", "down_lr_weight"),
    ("mid_lr_weight", "mid_lr_weight"),
    ("up_lr_weight", "up_lr_weight"),
    ("block_lr_zero_threshold", "block_lr_zero_threshold"),
    ("lycoris_preset", "preset"),
];

/// Parts of the sample prompt, with the option of a prompt line that each is.
const PROMPT: [(&str, &str); 6] = [
    ("negative_prompts", "n"),
    ("sample_width", "w"),
    ("sample_height", "h"),
    ("sample_cfg", "l"),
    ("sample_steps", "s"),
    ("sample_seed", "d"),
];

/// What belongs to a switch: where the switch is off, it means nothing.
const SWITCHES: [(&str, &[&str]); 3] = [
    (
        "enable_preview",
        &[
            "positive_prompts",
            "negative_prompts",
            "sample_width",
            "sample_height",
            "sample_cfg",
            "sample_steps",
            "sample_seed",
            "sample_sampler",
            "sample_every_n_epochs",
            "sample_prompts",
            "prompt_file",
            "randomly_choice_prompt",
        ],
    ),
    (
        "enable_block_weights",
        &[
            "down_lr_weight",
            "mid_lr_weight",
            "up_lr_weight",
            "block_lr_zero_threshold",
        ],
    ),
    (
        "enable_base_weight",
        &["base_weights", "base_weights_multiplier"],
    ),
];

/// # Errors
/// When it is for another kind of model.
pub(super) fn translate(file: &ForeignFile) -> Result<Importer, ImportError> {
    let mut table = file.flat.clone();
    let custom = table.remove("ui_custom_params");
    let kind = table.remove("model_train_type");
    let mut importer = Importer::new(Options::default());
    if let Some(value) = custom {
        overwrite(&mut importer, &mut table, value);
    }
    if let Some(value) = kind {
        let name = values::text(&value);
        let given = Given::new("model_train_type", value);
        match name.as_str() {
            "sd-lora" | "lora-basic" | "lora-master" => {}
            "sdxl-lora" => importer.family = lora_core::Family::Sdxl,
            _ => {
                return Err(ImportError::OtherKind {
                    path: file.path.clone(),
                    kind: name,
                });
            }
        }
        importer.not_needed(&given, "the family is seen from the model's tensors");
    }
    switches(&mut importer, &mut table);
    prompt(&mut importer, &mut table);
    for (key, value) in table {
        option(&mut importer, &key, value);
    }
    Ok(importer)
}

/// The text field whose TOML goes before everything else.
fn overwrite(importer: &mut Importer, table: &mut Table, value: Value) {
    let given = Given::new("ui_custom_params", value);
    match toml::from_str::<Table>(&values::text(&given.value)) {
        Ok(custom) if custom.is_empty() => importer.not_needed(&given, "it is empty"),
        Ok(custom) => {
            importer.not_needed(&given, "its keys are told one by one");
            table.extend(custom);
        }
        Err(_) => importer.not_supported(&given, "it is no TOML"),
    }
}

fn switches(importer: &mut Importer, table: &mut Table) {
    for (switch, keys) in SWITCHES {
        let Some(value) = table.remove(switch) else {
            continue;
        };
        let is_off = values::is_off(&value);
        importer.not_needed(
            &Given::new(switch, value),
            if is_off {
                "it is off, as here"
            } else {
                "what it switches on is told"
            },
        );
        if is_off {
            for key in keys {
                if let Some(value) = table.remove(*key) {
                    importer.not_needed(&Given::new(*key, value), &format!("{switch} is off"));
                }
            }
        }
    }
    if let Some(value) = table.remove("randomly_choice_prompt") {
        let given = Given::new("randomly_choice_prompt", value);
        if values::is_off(&given.value) {
            importer.not_needed(&given, "it is off, as here");
        } else {
            importer.not_supported(
                &given,
                "prompts are those of preview.prompts, always the same",
            );
        }
    }
}

/// Puts the parts of the sample prompt together, as `api.py` does.
fn prompt(importer: &mut Importer, table: &mut Table) {
    if let Some(value) = table.remove("prompt_file") {
        let given = Given::new("prompt_file", value);
        if values::is_off(&given.value) {
            importer.not_needed(&given, "it is empty");
        } else {
            if let Some(value) = table.remove("positive_prompts") {
                importer.not_needed(
                    &Given::new("positive_prompts", value),
                    "prompt_file goes before it",
                );
            }
            table
                .remove("sample_prompts")
                .into_iter()
                .for_each(|value| {
                    importer.not_needed(
                        &Given::new("sample_prompts", value),
                        "prompt_file goes before it",
                    );
                });
            importer.options.set("sample_prompts", given);
        }
    }
    let positive = table.remove("positive_prompts");
    let mut line = positive.as_ref().map(values::text).unwrap_or_default();
    for (key, option) in PROMPT {
        let Some(value) = table.remove(key) else {
            continue;
        };
        let text = values::text(&value);
        let given = Given::new(key, value);
        if positive.is_none() || text.is_empty() {
            importer.not_needed(&given, "there are no positive_prompts");
        } else {
            line = format!("{line} --{option} {text}");
            importer.not_needed(&given, &format!("it is --{option} in preview.prompts"));
        }
    }
    if positive.is_some() {
        importer
            .options
            .set("sample_prompts", Given::new("positive_prompts", line));
    }
}

fn option(importer: &mut Importer, key: &str, value: Value) {
    let given = Given::new(key, value);
    if let Some((_, part)) = NETWORK.iter().find(|(theirs, _)| *theirs == key) {
        importer.options.set_network(part, given);
        return;
    }
    match key {
        "lr_restart_cycles" => importer.options.set("lr_scheduler_num_cycles", given),
        "network_args_custom" => importer.options.set("network_args", given),
        "optimizer_args_custom" => importer.options.set("optimizer_args", given),
        "prodigy_d0" | "prodigy_d_coef" => {
            let name = key.trim_start_matches("prodigy_").to_owned();
            if values::text(&given.value).is_empty() {
                importer.not_needed(&given, "it is empty");
            } else {
                importer.options.set_optimizer(&name, given);
            }
        }
        "gpu_ids" => importer.not_needed(&given, "train.device names the device"),
        _ => importer.options.set(key, given),
    }
}
