//! Captions and prompts to token ids, as transformers' `CLIPTokenizer` does it.
//!
//! The way of a text: cut out the special tokens, clean each piece as the Python library ftfy would, lower the case,
//! split into words, merge byte pairs. Hugging Face's `tokenizers` crate is the *fast* tokenizer, whose ids differ
//! wherever ftfy changes a text; trainers and web interfaces use the slow one.

mod byte_pair_encoding;
mod clean_text;
mod clip_tokenizer;
mod html_entities;
mod tokenizer_folder;
mod words;

pub use clip_tokenizer::{CHUNK_LENGTH, ROW_LENGTH, Row, Tokenizer};
pub use tokenizer_folder::TokenizerFolderError;
