//! From prompts to what the UNet is told about them.

use burn::tensor::{Tensor, TensorData};

use crate::{
    prompt_syntax::{COMMA_BACKTRACK, Segment, WeightedRow, emphasise, weighted_rows},
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

impl TextStates {
    /// The states of several sets of prompts, one set after the other; all must have the same number of tokens.
    pub fn cat(sets: Vec<Self>) -> Self {
        let pooled: Option<Vec<_>> = sets.iter().map(|set| set.pooled.clone()).collect();
        let states = sets.into_iter().map(|set| set.states);
        Self {
            states: Tensor::cat(states.collect(), 0),
            pooled: pooled.map(|pooled| Tensor::cat(pooled, 0)),
        }
    }

    /// Nothing but zeros, in the same shape: what SDXL is told where there is no negative prompt.
    pub fn zeros_like(&self) -> Self {
        Self {
            states: self.states.zeros_like(),
            pooled: self.pooled.as_ref().map(Tensor::zeros_like),
        }
    }
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
        let (states, pooled) = self.forward(&ids.towers, clip_skip);
        let states = states.into_iter().map(|rows| join_rows(rows, ids.chunks));
        TextStates {
            states: side_by_side(states.collect()),
            pooled: pooled.map(|rows| of_each_first(rows, ids.chunks)),
        }
    }

    /// How many rows [`Self::encode_weighted`] cuts a prompt into: at least one.
    pub fn rows_of(&self, segments: &[Segment]) -> usize {
        let rows = self.weighted_rows(segments);
        rows.first().map_or(0, Vec::len)
    }

    /// One prompt to states as A1111 draws with them, `[1, rows · 77, width]`: every row whole, its states weighted.
    ///
    /// The layers are those of [`Self::encode`], to which this is equal where a prompt is one row without weights. Each
    /// tower's states are [weighted](emphasise) by themselves; the pooled vector is the first row's and is not.
    pub fn encode_weighted(&self, segments: &[Segment], clip_skip: usize) -> TextStates {
        let rows = self.weighted_rows(segments);
        let ids = rows.iter().map(|tower| tower.iter().map(|row| row.ids));
        let ids: Vec<TokenRows> = ids.map(Iterator::collect).collect();
        let (states, pooled) = self.forward(&ids, clip_skip);
        let states = states.into_iter().zip(&rows).map(|(states, rows)| {
            let [count, tokens, hidden] = states.dims();
            weighted(states, rows).reshape([1, count * tokens, hidden])
        });
        TextStates {
            states: side_by_side(states.collect()),
            pooled: pooled.map(|vectors| vectors.narrow(0, 0, 1)),
        }
    }

    /// For each tower the rows of one prompt, as many for all: tokenizers that pad with `!` may need more for it.
    fn weighted_rows(&self, segments: &[Segment]) -> Vec<Vec<WeightedRow>> {
        let towers = self.towers.iter();
        let mut rows: Vec<_> = towers
            .map(|tower| weighted_rows(&tower.tokenizer, segments, COMMA_BACKTRACK))
            .collect();
        let most = rows.iter().map(Vec::len).max().unwrap_or(0);
        for (rows, tower) in rows.iter_mut().zip(&self.towers) {
            rows.resize_with(most, || WeightedRow::empty(&tower.tokenizer));
        }
        rows
    }

    /// Each tower's states of its rows, `[rows, 77, hidden]`, and SDXL's pooled vector of every row.
    fn forward(&self, rows: &[TokenRows], clip_skip: usize) -> (Vec<Tensor<3>>, Option<Tensor<2>>) {
        if let ([tower], [rows]) = (self.towers.as_slice(), rows) {
            return (vec![tower.encoder.forward(rows, clip_skip)], None);
        }
        let mut pooled = None;
        let states = self.towers.iter().zip(rows).map(|(tower, rows)| {
            let (states, of_rows) = tower.encoder.penultimate_and_pooled(rows);
            pooled = pooled.take().or(of_rows);
            states
        });
        (states.collect(), pooled)
    }
}

/// The states of all towers as one, `[prompts, tokens, width]`.
fn side_by_side(mut towers: Vec<Tensor<3>>) -> Tensor<3> {
    if towers.len() == 1 {
        return towers.remove(0);
    }
    Tensor::cat(towers, 2)
}

/// States `[rows, 77, hidden]` as their rows' weights have them; plain text is left untouched.
fn weighted(states: Tensor<3>, rows: &[WeightedRow]) -> Tensor<3> {
    let weights = || rows.iter().flat_map(|row| row.weights);
    if weights().all(|weight| weight.to_bits() == 1_f32.to_bits()) {
        return states;
    }
    let weights = TensorData::new(weights().collect::<Vec<f32>>(), [rows.len(), ROW_LENGTH]);
    let weights = Tensor::from_data(weights, &states.device());
    emphasise(states, weights)
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
