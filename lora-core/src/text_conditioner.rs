//! From prompts to what the UNet is told about them.

use burn::tensor::Tensor;

use crate::{
    text_encoder::{TextEncoder, TokenRows},
    tokenizer::{CHUNK_LENGTH, ROW_LENGTH, Tokenizer},
};

/// A tokenizer and the text encoder that reads its ids.
#[derive(Clone, Debug)]
pub struct TextTower {
    /// Text to token ids.
    pub tokenizer: Tokenizer,
    /// Token ids to states.
    pub encoder: TextEncoder,
}

/// The text side of a model: one tower for SD 1.x and 2.x, two for SDXL.
#[derive(Clone, Debug)]
pub struct TextConditioner {
    towers: Vec<TextTower>,
}

/// Token ids of some prompts, each cut into the same number of rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenIds {
    /// Rows of each prompt.
    pub chunks: usize,
    /// For each tower, the rows of the first prompt, then those of the second, and so on.
    pub towers: Vec<TokenRows>,
}

/// What the text encoders say about some prompts.
#[derive(Clone, Debug)]
pub struct TextStates {
    /// `[prompts, tokens, cross_attention_dim]`.
    pub states: Tensor<3>,
    /// SDXL's pooled vector of each prompt, `[prompts, projection]`.
    pub pooled: Option<Tensor<2>>,
}

impl TextConditioner {
    /// A conditioner of one tower or two.
    ///
    /// # Panics
    /// Without a tower.
    pub fn new(towers: Vec<TextTower>) -> Self {
        assert!(!towers.is_empty(), "a conditioner has at least one tower");
        Self { towers }
    }

    /// The towers, in the order of the model's folders.
    pub fn towers(&self) -> &[TextTower] {
        &self.towers
    }

    /// The towers' text encoders, for adapters.
    pub fn encoders_mut(&mut self) -> impl Iterator<Item = &mut TextEncoder> {
        self.towers.iter_mut().map(|tower| &mut tower.encoder)
    }

    /// The first tower's tokenizer. All towers of a model cut a text into the same tokens; they differ in padding.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.towers[0].tokenizer
    }

    /// Number of hidden layers of the first encoder: the largest sensible clip skip.
    pub fn depth(&self) -> usize {
        self.towers[0].encoder.depth()
    }

    /// Ids of `texts`, each in `chunks` rows; what does not fit is cut off.
    pub fn tokenize(&self, texts: &[String], chunks: usize) -> TokenIds {
        let rows = |tower: &TextTower| {
            let rows = texts
                .iter()
                .flat_map(|text| tower.tokenizer.rows(text, chunks));
            rows.collect()
        };
        TokenIds {
            chunks,
            towers: self.towers.iter().map(rows).collect(),
        }
    }

    /// Ids to states, `[prompts, chunks · 75 + 2, width]`.
    ///
    /// One tower gives the layer that `clip_skip` names, after the final layer norm; two give their penultimate states
    /// side by side and the second's pooled vector of each prompt's first row, and know no clip skip (as kohya and
    /// diffusers do for SDXL). Each row is encoded on its own; the start state of the first row, the 75 inner states
    /// of each and the end state of the last are joined, as kohya does for 150 and 225 tokens.
    pub fn encode(&self, ids: &TokenIds, clip_skip: usize) -> TextStates {
        if let ([tower], [rows]) = (self.towers.as_slice(), ids.towers.as_slice()) {
            return TextStates {
                states: join_rows(tower.encoder.forward(rows, clip_skip), ids.chunks),
                pooled: None,
            };
        }
        let mut pooled = None;
        let states = self.towers.iter().zip(&ids.towers).map(|(tower, rows)| {
            let (states, of_rows) = tower.encoder.penultimate_and_pooled(rows);
            if let Some(of_rows) = of_rows {
                pooled = Some(of_each_first(of_rows, ids.chunks));
            }
            join_rows(states, ids.chunks)
        });
        let states = Tensor::cat(states.collect(), 2);
        TextStates { states, pooled }
    }
}

/// `[prompts · chunks, 77, hidden]` to `[prompts, chunks · 75 + 2, hidden]`.
fn join_rows(states: Tensor<3>, chunks: usize) -> Tensor<3> {
    if chunks == 1 {
        return states;
    }
    let [rows, tokens, hidden] = states.dims();
    let prompts = rows / chunks;
    let states: Tensor<4> = states.reshape([prompts, chunks, tokens, hidden]);
    let part = |chunk: usize, from: usize, length: usize| {
        let part = states.clone().narrow(1, chunk, 1).narrow(2, from, length);
        part.reshape([prompts, length, hidden])
    };
    let mut parts = vec![part(0, 0, 1)];
    parts.extend((0..chunks).map(|chunk| part(chunk, 1, CHUNK_LENGTH)));
    parts.push(part(chunks - 1, ROW_LENGTH - 1, 1));
    Tensor::cat(parts, 1)
}

/// `[prompts · chunks, width]` to the first row of each prompt, `[prompts, width]`.
fn of_each_first(rows: Tensor<2>, chunks: usize) -> Tensor<2> {
    let [count, width] = rows.dims();
    let rows: Tensor<3> = rows.reshape([count / chunks, chunks, width]);
    rows.narrow(1, 0, 1).reshape([count / chunks, width])
}
