//! Segments to rows of token ids, and weights to states.

use burn::tensor::{DType, Tensor};

use super::Segment;
use crate::tokenizer::{CHUNK_LENGTH, ROW_LENGTH, Row, Tokenizer};

/// How many tokens back A1111 looks for a comma to break a full chunk at.
pub const COMMA_BACKTRACK: usize = 20;

/// One chunk of a prompt as the text encoder takes it, and what its states are multiplied by.
#[derive(Clone, Debug, PartialEq)]
pub struct WeightedRow {
    /// Begin, up to 75 tokens of text, end, padding.
    pub ids: Row,
    /// One for each id; 1 but for emphasised text.
    pub weights: [f32; ROW_LENGTH],
}

impl WeightedRow {
    fn new(tokenizer: &Tokenizer, chunk: &Chunk) -> Self {
        let mut weights = [1.0; ROW_LENGTH];
        weights[1..=chunk.weights.len()].copy_from_slice(&chunk.weights);
        Self {
            ids: tokenizer.row_of(&chunk.ids),
            weights,
        }
    }

    /// The row of no text at all, which fills up a shorter prompt.
    pub fn empty(tokenizer: &Tokenizer) -> Self {
        Self::new(tokenizer, &Chunk::default())
    }
}

/// Cuts a prompt into as many rows as it needs, at least one.
///
/// Every segment is tokenized by itself. A chunk ends at a [`Segment::Break`], or when it is full: then after its last
/// comma, if that is at most `comma_backtrack` tokens back. A1111's is [`COMMA_BACKTRACK`]; 0 cuts anywhere, as
/// sd-scripts does.
pub fn weighted_rows(
    tokenizer: &Tokenizer,
    segments: &[Segment],
    comma_backtrack: usize,
) -> Vec<WeightedRow> {
    let mut chunks = Chunks {
        comma: tokenizer.comma(),
        comma_backtrack,
        full: Vec::new(),
        current: Chunk::default(),
    };
    for segment in segments {
        match segment {
            Segment::Break => chunks.close(),
            Segment::Text { text, weight } => {
                for id in tokenizer.encode(text) {
                    chunks.push(id, *weight as f32);
                }
            }
        }
    }
    let chunks = chunks.finish();
    chunks
        .iter()
        .map(|chunk| WeightedRow::new(tokenizer, chunk))
        .collect()
}

/// Up to 75 tokens.
#[derive(Default)]
struct Chunk {
    ids: Vec<u32>,
    weights: Vec<f32>,
    /// How many tokens stand before the last comma.
    last_comma: Option<usize>,
}

impl Chunk {
    fn is_full(&self) -> bool {
        self.ids.len() == CHUNK_LENGTH
    }
}

struct Chunks {
    comma: Option<u32>,
    comma_backtrack: usize,
    full: Vec<Chunk>,
    current: Chunk,
}

impl Chunks {
    fn push(&mut self, id: u32, weight: f32) {
        if Some(id) == self.comma {
            self.current.last_comma = Some(self.current.ids.len());
        } else if self.current.is_full() {
            self.move_to_next_chunk();
        }
        if self.current.is_full() {
            self.close();
        }
        self.current.ids.push(id);
        self.current.weights.push(weight);
    }

    /// Takes what follows a near comma along into the next chunk.
    fn move_to_next_chunk(&mut self) {
        let near = |&comma: &usize| CHUNK_LENGTH - comma <= self.comma_backtrack;
        if let Some(comma) = self.current.last_comma.filter(near) {
            let ids = self.current.ids.split_off(comma + 1);
            let weights = self.current.weights.split_off(comma + 1);
            self.close();
            self.current.ids = ids;
            self.current.weights = weights;
        }
    }

    fn close(&mut self) {
        self.full.push(std::mem::take(&mut self.current));
    }

    fn finish(mut self) -> Vec<Chunk> {
        if !self.current.ids.is_empty() || self.full.is_empty() {
            self.close();
        }
        self.full
    }
}

/// Multiplies each token's states by its weight, then scales every row so that its mean stays what it was: A1111's
/// emphasis "Original".
///
/// `states` is `[rows, 77, width]` of one text encoder, `weights` `[rows, 77]`.
pub fn emphasise(states: Tensor<3>, weights: Tensor<2>) -> Tensor<3> {
    let [rows, tokens, _] = states.dims();
    let dtype = states.dtype();
    // Means of f16 states lose too much: a mean is near 0 and divides.
    let states = states.cast(DType::F32);
    let mean = |states: &Tensor<3>| states.clone().mean_dim(2).mean_dim(1);
    let weighted = states.clone() * weights.cast(DType::F32).reshape([rows, tokens, 1]);
    let restored = mean(&states) / mean(&weighted);
    (weighted * restored).cast(dtype)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn emphasis_keeps_the_mean_of_each_row() {
        let device = Device::flex();
        let states = [[[1.0, 2.0], [3.0, 4.0]], [[-1.0, 5.0], [0.5, 1.5]]];
        let states = Tensor::<3>::from_floats(states, &device);
        let weights = Tensor::<2>::from_floats([[1.0, 2.0], [1.0, 1.0]], &device);
        let found: Vec<f32> = emphasise(states, weights)
            .into_data()
            .iter::<f32>()
            .collect();
        // Means 2.5 and, weighted, 4.25.
        let scale = 2.5 / 4.25;
        let expected = [1.0, 2.0, 6.0, 8.0].map(|value| value * scale);
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
        assert_eq!(found[4..], [-1.0, 5.0, 0.5, 1.5]);
    }
}
