//! Alphas that stand in a configuration instead of in tensors.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use regex::Regex;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::ModuleName;

/// Where diffusers (from 0.35) keeps the configuration, in the header's metadata.
pub(super) const METADATA_KEY: &str = "lora_adapter_metadata";
/// Where PEFT keeps it, beside the weights.
const FILE: &str = "adapter_config.json";

/// The fields of PEFT's `LoraConfig` that decide a module's scale.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct AdapterConfig {
    lora_alpha: Option<f32>,
    alpha_pattern: Patterns,
    use_rslora: bool,
}

/// PEFT's `alpha_pattern`: regular expressions of the end of a module's path, each with its modules' alpha.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "BTreeMap<String, f32>")]
struct Patterns(Vec<(Regex, f32)>);

impl Patterns {
    /// The alpha of the first expression that fits; PEFT and diffusers write them in the order of their texts.
    fn alpha(&self, path: &str) -> Option<f32> {
        let fitting = self.0.iter().find(|(pattern, _)| pattern.is_match(path));
        fitting.map(|(_, alpha)| *alpha)
    }
}

impl TryFrom<BTreeMap<String, f32>> for Patterns {
    type Error = String;

    /// As PEFT does: an expression stands for the whole path, or for what is behind a dot.
    fn try_from(alphas: BTreeMap<String, f32>) -> Result<Self, Self::Error> {
        let compiled = |(pattern, alpha): (String, f32)| {
            let whole = Regex::new(&format!(r"^(?:.*\.)?(?:{pattern})$"));
            let regex = whole.map_err(|_| {
                format!(
                    "alpha_pattern {pattern:?} is no regular expression that can be read here; \
                     write out the modules that it stands for"
                )
            })?;
            Ok((regex, alpha))
        };
        let patterns = alphas.into_iter().map(compiled);
        Ok(Self(patterns.collect::<Result<_, Self::Error>>()?))
    }
}

/// The configurations that come with a file: one of each network, or one for all.
#[derive(Debug, Clone, Default)]
pub(super) struct AdapterConfigs {
    by_folder: BTreeMap<String, AdapterConfig>,
    of_all: Option<AdapterConfig>,
}

impl AdapterConfigs {
    /// Reads the value of [`METADATA_KEY`], in which each field has its network in front: `unet.lora_alpha`.
    pub(super) fn from_metadata(text: &str) -> serde_json::Result<Self> {
        let fields: Map<String, Value> = serde_json::from_str(text)?;
        let mut by_folder = BTreeMap::<String, Map<String, Value>>::new();
        for (field, value) in fields {
            if let Some((folder, field)) = field.split_once('.') {
                by_folder
                    .entry(folder.to_owned())
                    .or_default()
                    .insert(field.to_owned(), value);
            }
        }
        let parse = |(folder, fields)| Ok((folder, serde_json::from_value(Value::Object(fields))?));
        Ok(Self {
            by_folder: by_folder
                .into_iter()
                .map(parse)
                .collect::<Result<_, serde_json::Error>>()?,
            of_all: None,
        })
    }

    /// Reads PEFT's file in the folder of `weights`; `None` where there is none.
    pub(super) fn beside(weights: &Path) -> serde_json::Result<Option<Self>> {
        let text = match fs::read_to_string(weights.with_file_name(FILE)) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(serde_json::Error::io(error)),
        };
        Ok(Some(Self {
            by_folder: BTreeMap::new(),
            of_all: Some(serde_json::from_str(&text)?),
        }))
    }

    /// The alpha by which `module`, of this rank, is scaled as `alpha / rank`; `None` where nothing is said.
    pub(super) fn alpha(&self, module: &ModuleName, rank: usize) -> Option<f32> {
        let folder = module.component().folder();
        let config = self.by_folder.get(folder).or(self.of_all.as_ref())?;
        let of_module = config.alpha_pattern.alpha(module.path());
        let alpha = of_module.or(config.lora_alpha)?;
        // Rank-stabilised LoRA divides by √rank instead.
        Some(if config.use_rslora {
            alpha * (rank as f32).sqrt()
        } else {
            alpha
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(name: &str) -> ModuleName {
        ModuleName::from_diffusers(name).unwrap_or_else(|| panic!("{name}"))
    }

    #[test]
    fn each_network_has_its_own_alphas() {
        let text = r#"{"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn1.to_q": 2.0, "^mid_block.attentions.0.proj_in": 3},
            "text_encoder.lora_alpha": 4, "text_encoder.use_rslora": true}"#;
        let configs = AdapterConfigs::from_metadata(text).expect("valid");
        for (name, alpha) in [
            ("unet.up_blocks.1.attn1.to_q", Some(2.0)),
            ("unet.up_blocks.1.xattn1.to_q", Some(8.0)),
            ("unet.mid_block.attentions.0.proj_in", Some(3.0)),
            ("text_encoder.text_model.mlp.fc1", Some(16.0)),
            ("text_encoder_2.text_model.mlp.fc1", None),
        ] {
            assert_eq!(configs.alpha(&module(name), 16), alpha, "{name}");
        }
    }

    #[test]
    fn patterns_are_regular_expressions_of_a_paths_end() {
        let text = r#"{"unet.lora_alpha": 8,
            "unet.alpha_pattern": {"attn[12]\\.to_(q|k)": 2, "down_blocks\\.\\d+\\..*": 3, "to_v|proj_in": 4}}"#;
        let configs = AdapterConfigs::from_metadata(text).expect("valid");
        for (path, alpha) in [
            ("up_blocks.1.attn2.to_k", 2.0),
            ("up_blocks.1.attn3.to_k", 8.0),
            ("up_blocks.1.attn2.to_kk", 8.0),
            ("down_blocks.0.resnets.0.conv1", 3.0),
            ("up_blocks.1.xto_v", 8.0),
            ("up_blocks.1.attn2.to_v", 4.0),
            ("proj_in", 4.0),
        ] {
            let module = module(&format!("unet.{path}"));
            assert_eq!(configs.alpha(&module, 16), Some(alpha), "{path}");
        }
        let lookahead = r#"{"unet.alpha_pattern": {"(?!attn1).*": 2}}"#;
        let error = AdapterConfigs::from_metadata(lookahead).unwrap_err();
        assert!(error.to_string().contains("(?!attn1).*"), "{error}");
    }
}
