//! The tokenizer of Stable Diffusion's text encoders.

use std::sync::{Arc, LazyLock};

use super::byte_pair_encoding::BytePairEncoding;
use super::clean_text::clean;
use super::words::words;

/// Token ids that a text encoder takes at once: a begin token, 75 tokens of text, an end token.
pub const ROW_LENGTH: usize = 77;
/// Tokens of text in one row.
pub const CHUNK_LENGTH: usize = ROW_LENGTH - 2;
/// One row of token ids, as the text encoder takes it.
pub type Row = [u32; ROW_LENGTH];

pub(super) const BEGIN_TOKEN: &str = "<|startoftext|>";
pub(super) const END_TOKEN: &str = "<|endoftext|>";

/// The merge list of OpenAI's CLIP (MIT licence).
const CLIP_MERGES: &str = include_str!("../../assets/clip_bpe_merges.txt");

static CLIP: LazyLock<Arc<BytePairEncoding>> = LazyLock::new(|| {
    Arc::new(BytePairEncoding::from_merges(
        CLIP_MERGES,
        &[BEGIN_TOKEN, END_TOKEN],
    ))
});

/// Turns captions and prompts into token ids, as transformers' slow `CLIPTokenizer` with ftfy does.
///
/// Cheap to clone; the built-in vocabulary is parsed once per process.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    encoding: Arc<BytePairEncoding>,
    begin: u32,
    end: u32,
    pad: u32,
    /// Tokens that are taken literally wherever a text holds them, before it is cleaned.
    special: Vec<(String, u32)>,
}

impl Tokenizer {
    /// CLIP's vocabulary of 49,408 tokens, padded with the end token: Stable Diffusion 1.x and SDXL's first encoder.
    pub fn clip() -> Self {
        let special = [(BEGIN_TOKEN, 49406), (END_TOKEN, 49407)];
        Self {
            encoding: Arc::clone(&CLIP),
            begin: 49406,
            end: 49407,
            pad: 49407,
            special: special.map(|(text, id)| (text.to_owned(), id)).into(),
        }
    }

    /// A vocabulary of its own; `None` when it lacks the begin or the end token.
    pub(super) fn new(encoding: BytePairEncoding) -> Option<Self> {
        let begin = encoding.symbol(BEGIN_TOKEN)?;
        let end = encoding.symbol(END_TOKEN)?;
        Some(Self {
            encoding: Arc::new(encoding),
            begin,
            end,
            pad: end,
            special: vec![(BEGIN_TOKEN.to_owned(), begin), (END_TOKEN.to_owned(), end)],
        })
    }

    /// The same tokenizer padding with `token`, which becomes a special token too; `None` when there is no such token.
    ///
    /// Stable Diffusion 2.x and SDXL's second encoder pad with `!` (id 0). As in transformers, an exclamation mark in
    /// a caption then gets the pad's id, because special tokens are cut out first.
    pub fn with_pad_token(mut self, token: &str) -> Option<Self> {
        self.pad = self.encoding.symbol(token)?;
        if !self.special.iter().any(|(text, _)| text == token) {
            self.special.push((token.to_owned(), self.pad));
        }
        Some(self)
    }

    /// Number of tokens in the vocabulary, special ones included.
    pub fn vocabulary_size(&self) -> usize {
        self.encoding.size()
    }

    /// The highest id that a text can get.
    pub fn highest_id(&self) -> u32 {
        self.encoding.highest_id()
    }

    /// The ids of `text`, of any length, without begin, end or padding.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        let mut ids = Vec::new();
        let mut rest = text;
        while let Some((start, token, id)) = self.first_special(rest) {
            self.encode_piece(&rest[..start], &mut ids);
            ids.push(id);
            rest = &rest[start + token.len()..];
        }
        self.encode_piece(rest, &mut ids);
        ids
    }

    /// The id of a comma that ends a word: where long prompts may be cut.
    pub fn comma(&self) -> Option<u32> {
        self.encoding.symbol(",</w>")
    }

    /// How many tokens `text` has: what does not fit into 75, 150 or 225 is cut off.
    pub fn count(&self, text: &str) -> usize {
        self.encode(text).len()
    }

    /// One row: begin, the first 75 tokens, end, padding.
    pub fn row(&self, text: &str) -> Row {
        self.row_of(&self.encode(text))
    }

    /// One row: begin, the first 75 of `ids`, end, padding.
    pub fn row_of(&self, ids: &[u32]) -> Row {
        let kept = &ids[..ids.len().min(CHUNK_LENGTH)];
        let mut row = [self.pad; ROW_LENGTH];
        row[0] = self.begin;
        row[1..=kept.len()].copy_from_slice(kept);
        row[kept.len() + 1] = self.end;
        row
    }

    /// `chunks` rows for `75 × chunks` tokens of text, as sd-scripts cuts them for `max_token_length` 150 and 225.
    ///
    /// Every row has a begin token; text that goes on fills its row to the end token. Rows after the text's end are
    /// padding, and when the pad is not the end token, a row of padding only has an end token right after its begin.
    pub fn rows(&self, text: &str, chunks: usize) -> Vec<Row> {
        if chunks == 1 {
            return vec![self.row(text)];
        }
        let mut ids = self.encode(text);
        ids.truncate(chunks * CHUNK_LENGTH);
        // The reference cuts one long sequence, whose end token may fall on the place of the last row's own.
        ids.push(self.end);
        ids.resize(chunks * CHUNK_LENGTH + 1, self.pad);
        let last = ids[chunks * CHUNK_LENGTH];
        ids.chunks_exact(CHUNK_LENGTH)
            .map(|chunk| self.chunk_row(chunk, last))
            .collect()
    }

    /// A row around 75 ids; `last` is the id that ends the whole long sequence.
    fn chunk_row(&self, chunk: &[u32], last: u32) -> Row {
        let mut row = [last; ROW_LENGTH];
        row[0] = self.begin;
        row[1..=CHUNK_LENGTH].copy_from_slice(chunk);
        if self.pad != self.end {
            let closed = [self.end, self.pad].contains(&row[CHUNK_LENGTH]);
            if !closed {
                row[ROW_LENGTH - 1] = self.end;
            }
            if row[1] == self.pad {
                row[1] = self.end;
            }
        }
        row
    }

    /// The leftmost special token of `text`: its place, name and id.
    fn first_special(&self, text: &str) -> Option<(usize, &str, u32)> {
        let found = self.special.iter().filter_map(|(token, id)| {
            let start = text.find(token.as_str())?;
            Some((start, token.as_str(), *id))
        });
        found.min_by_key(|&(start, ..)| start)
    }

    fn encode_piece(&self, piece: &str, ids: &mut Vec<u32>) {
        for word in words(&clean(piece).to_lowercase()) {
            match word {
                // Written in capitals, they are found only here.
                BEGIN_TOKEN => ids.push(self.begin),
                END_TOKEN => ids.push(self.end),
                _ => self.encoding.encode_word(word, ids),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_begin_text_end_and_padding() {
        let row = Tokenizer::clip().row("a photo of a cat");
        assert_eq!(row[..7], [49406, 320, 1125, 539, 320, 2368, 49407]);
        assert!(row[7..].iter().all(|&id| id == 49407));
    }

    #[test]
    fn special_tokens_are_known_in_any_case() {
        let ids = Tokenizer::clip().encode("<|endoftext|>a<|STARTOFTEXT|>");
        assert_eq!(ids, [49407, 320, 49406]);
    }

    #[test]
    fn special_tokens_are_cut_out_before_punctuation_runs_into_them() {
        assert_eq!(
            Tokenizer::clip().encode("!<|endoftext|>!"),
            [256, 49407, 256]
        );
    }

    #[test]
    fn the_pad_token_is_special() {
        let plain = Tokenizer::clip();
        let padded = plain.clone().with_pad_token("!").unwrap();
        assert_eq!(
            (plain.encode("a!"), padded.encode("a!")),
            (vec![320, 256], vec![320, 0])
        );
        assert!(plain.with_pad_token("no such token").is_none());
    }

    #[test]
    fn no_chunks_are_no_rows() {
        assert!(Tokenizer::clip().rows("a cat", 0).is_empty());
    }
}
