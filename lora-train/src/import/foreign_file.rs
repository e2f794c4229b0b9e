use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use toml::{Table, Value};

use super::{ImportError, rules::is_option, values};
use crate::config::TrainConfig;

/// Whose config a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForeignFormat {
    /// `--config_file` of kohya's `train_network.py`.
    KohyaTraining,
    /// `--dataset_config` of kohya's scripts.
    KohyaDataset,
    /// 秋叶's lora-scripts.
    Akegarasu,
    /// The kohya_ss GUI.
    KohyaGui,
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KohyaTraining => "a training config of kohya's sd-scripts",
            Self::KohyaDataset => "a dataset config of kohya's sd-scripts",
            Self::Akegarasu => "a config of 秋叶's lora-scripts",
            Self::KohyaGui => "a config of the kohya_ss GUI",
        })
    }
}

/// Another trainer's file.
#[derive(Debug)]
pub(super) struct ForeignFile {
    pub(super) path: PathBuf,
    pub(super) format: ForeignFormat,
    pub(super) table: Table,
    /// The same without sections, as `train_network.py` reads it.
    pub(super) flat: Table,
    /// Keys that stand in two sections with different values.
    pub(super) conflicts: Vec<String>,
}

/// Keys that 秋叶's interface has and `train_network.py` does not.
const OF_AKEGARASU: [&str; 15] = [
    "enable_base_weight",
    "enable_block_weights",
    "enable_preview",
    "lokr_factor",
    "lr_restart_cycles",
    "lycoris_algo",
    "model_train_type",
    "negative_prompts",
    "network_args_custom",
    "optimizer_args_custom",
    "positive_prompts",
    "prodigy_d_coef",
    "prompt_file",
    "randomly_choice_prompt",
    "ui_custom_params",
];

impl ForeignFile {
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let text = fs::read_to_string(path).map_err(|source| ImportError::Io {
            path: path.into(),
            source,
        })?;
        // Editors on Windows put one in front.
        let text = text.trim_start_matches('\u{feff}');
        let table = parsed(text).map_err(|message| ImportError::Format {
            path: path.into(),
            message,
        })?;
        let is_dataset =
            table.contains_key("datasets") || table.get("general").is_some_and(Value::is_table);
        let (flat, conflicts) = if is_dataset {
            (table.clone(), Vec::new())
        } else {
            flat(&table)
        };
        let has = |key: &&str| flat.contains_key(*key);
        let not_foreign = |reason: &str| ImportError::NotForeign {
            path: path.into(),
            reason: reason.to_owned(),
        };
        if !table.is_empty() && table.clone().try_into::<TrainConfig>().is_ok() {
            return Err(not_foreign(
                "it is a run file of this program already; train it with `lora train`",
            ));
        }
        let format = if is_dataset {
            ForeignFormat::KohyaDataset
        } else if has(&"LoRA_type") {
            ForeignFormat::KohyaGui
        } else if OF_AKEGARASU.iter().any(&has) {
            ForeignFormat::Akegarasu
        } else if flat.keys().any(|key| is_option(key)) && !text.trim_start().starts_with('{') {
            ForeignFormat::KohyaTraining
        } else {
            return Err(not_foreign(
                "it has no key that kohya's train_network.py, 秋叶's lora-scripts or the LoRA page of the kohya_ss GUI writes",
            ));
        };
        Ok(Self {
            path: path.into(),
            format,
            table,
            flat,
            conflicts,
        })
    }
}

fn parsed(text: &str) -> Result<Table, String> {
    if !text.trim_start().starts_with('{') {
        return toml::from_str(text).map_err(|error: toml::de::Error| error.to_string());
    }
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match values::of_json(&json) {
        Some(Value::Table(table)) => Ok(table),
        _ => Err("it is no JSON object".to_owned()),
    }
}

/// The keys of all sections together, and those that stand in two sections with different values.
fn flat(table: &Table) -> (Table, Vec<String>) {
    let mut flat = Table::new();
    let mut conflicts = Vec::new();
    let mut add = |key: &String, value: &Value| {
        if let Some(earlier) = flat.insert(key.clone(), value.clone())
            && earlier != *value
        {
            conflicts.push(format!(
                "{key} is there twice, as {earlier} and as {value}; {value} was taken"
            ));
        }
    };
    for (key, value) in table {
        match value {
            Value::Table(section) => section.iter().for_each(|(key, value)| add(key, value)),
            value => add(key, value),
        }
    }
    (flat, conflicts)
}
