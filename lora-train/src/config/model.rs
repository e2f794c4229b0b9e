use std::path::PathBuf;

use lora_core::Precision;
use serde::{Deserialize, Serialize};

/// The base model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// A diffusers folder or a single `.safetensors` checkpoint.
    pub path: PathBuf,
    /// A diffusers folder whose configs describe a single file that is not SD1.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<PathBuf>,
    /// Number format of the frozen weights; adapters are always f32.
    pub precision: Precision,
    /// Use the n-th last layer of the text encoder; 1 is the last, 2 is usual for anime models.
    pub clip_skip: usize,
    /// Tokens of a caption that are used: 75, 150 or 225.
    pub max_tokens: usize,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            config: None,
            precision: Precision::F32,
            clip_skip: 1,
            max_tokens: 75,
        }
    }
}

impl ModelConfig {
    /// Rows of 75 tokens that a caption is cut into.
    pub fn chunks(&self) -> usize {
        self.max_tokens.div_ceil(lora_core::tokenizer::CHUNK_LENGTH)
    }
}
