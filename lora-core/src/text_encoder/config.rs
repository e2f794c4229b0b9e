use serde::Deserialize;

use crate::{
    activation::Activation,
    size_limits::{TRANSFORMER_LAYERS, WIDTH, outside, undivided},
    tokenizer::ROW_LENGTH,
};

/// The fields of transformers' `CLIPTextConfig` that shape the computation.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TextEncoderConfig {
    /// Size of the vocabulary.
    pub vocab_size: usize,
    /// Width of the states.
    pub hidden_size: usize,
    /// Width inside the MLP.
    pub intermediate_size: usize,
    /// Number of layers.
    pub num_hidden_layers: usize,
    /// Attention heads of each layer.
    pub num_attention_heads: usize,
    /// Tokens of one chunk.
    pub max_position_embeddings: usize,
    /// Activation of the MLP.
    pub hidden_act: Activation,
    /// Epsilon of every layer norm.
    pub layer_norm_eps: f64,
    /// Width of the pooled vector of an encoder that projects it.
    #[serde(default)]
    pub projection_dim: usize,
    /// Id of the end token, whose state is pooled. Configs of old say 2 and mean the highest id, CLIP's 49407.
    #[serde(default = "old_end_token")]
    pub eos_token_id: u32,
}

impl TextEncoderConfig {
    /// The first field whose value asks for something that [`super::TextEncoder`] cannot do, with that value.
    pub fn unsupported(&self) -> Option<(&'static str, String)> {
        let positions = ROW_LENGTH..=1024;
        outside([
            ("hidden_size", self.hidden_size, WIDTH),
            ("intermediate_size", self.intermediate_size, 1..=1 << 20),
            (
                "num_hidden_layers",
                self.num_hidden_layers,
                TRANSFORMER_LAYERS,
            ),
            ("vocab_size", self.vocab_size, 1..=1 << 24),
            (
                "max_position_embeddings",
                self.max_position_embeddings,
                positions,
            ),
        ])
        .or_else(|| {
            undivided(
                "num_attention_heads",
                self.num_attention_heads,
                self.hidden_size,
            )
        })
    }

    /// The end token's id, with the old 2 put right.
    pub(super) fn end_token(&self) -> u32 {
        match self.eos_token_id {
            2 => self.vocab_size.saturating_sub(1) as u32,
            id => id,
        }
    }
}

fn old_end_token() -> u32 {
    2
}
