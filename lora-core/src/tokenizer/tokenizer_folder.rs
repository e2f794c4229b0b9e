//! The `tokenizer` folder of a checkpoint in the diffusers layout.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::byte_pair_encoding::BytePairEncoding;
use super::clip_tokenizer::{BEGIN_TOKEN, END_TOKEN, Tokenizer};

/// Why a tokenizer folder could not be read.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerFolderError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file, or the folder when that is missing.
        path: PathBuf,
        /// What the operating system answered.
        source: std::io::Error,
    },
    /// A file is not the JSON that it should be.
    #[error("{}: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// One of the two vocabulary files is there without the other.
    #[error("{}: missing, though the folder has the other one of vocab.json and merges.txt", path.display())]
    HalfVocabulary {
        /// The missing file.
        path: PathBuf,
    },
    /// The vocabulary lacks a token that the tokenizer cannot work without.
    #[error("{}: its vocabulary has no token {token:?}", path.display())]
    UnknownToken {
        /// The folder.
        path: PathBuf,
        /// The begin, end or pad token.
        token: String,
    },
}

/// What `tokenizer_config.json` and `special_tokens_map.json` say about padding.
#[derive(Debug, Default, Deserialize)]
struct TokenizerConfig {
    pad_token: Option<Token>,
}

/// A token is written as its text or as an object around it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Token {
    Text(String),
    Added { content: String },
}

impl Tokenizer {
    /// The tokenizer of a diffusers `tokenizer` folder: its `vocab.json` and `merges.txt`, and its pad token.
    ///
    /// A folder that has the configuration only gets CLIP's own vocabulary.
    ///
    /// # Errors
    /// [`TokenizerFolderError`] names the file that is missing, unreadable or malformed, or the token that is unknown.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Self, TokenizerFolderError> {
        let folder = folder.as_ref();
        std::fs::read_dir(folder).map_err(|source| TokenizerFolderError::Io {
            path: folder.to_path_buf(),
            source,
        })?;
        let unknown = |token: &str| TokenizerFolderError::UnknownToken {
            path: folder.to_path_buf(),
            token: token.to_owned(),
        };
        let tokenizer = vocabulary(folder)?.unwrap_or_else(Self::clip);
        match pad_token(folder)? {
            Some(pad) => tokenizer.with_pad_token(&pad).ok_or_else(|| unknown(&pad)),
            None => Ok(tokenizer),
        }
    }
}

/// The folder's own vocabulary, if it has one.
fn vocabulary(folder: &Path) -> Result<Option<Tokenizer>, TokenizerFolderError> {
    let (vocabulary_path, merges_path) = (folder.join("vocab.json"), folder.join("merges.txt"));
    match (read(&vocabulary_path)?, read(&merges_path)?) {
        (None, None) => Ok(None),
        (Some(_), None) => Err(TokenizerFolderError::HalfVocabulary { path: merges_path }),
        (None, Some(_)) => Err(TokenizerFolderError::HalfVocabulary {
            path: vocabulary_path,
        }),
        (Some(vocabulary), Some(merges)) => {
            let vocabulary: HashMap<String, u32> = parse(&vocabulary_path, &vocabulary)?;
            let unknown = |token: &str| TokenizerFolderError::UnknownToken {
                path: folder.to_path_buf(),
                token: token.to_owned(),
            };
            // CLIP's unknown token is its end token.
            let end = *vocabulary
                .get(END_TOKEN)
                .ok_or_else(|| unknown(END_TOKEN))?;
            let encoding = BytePairEncoding::from_vocabulary(vocabulary, &merges, end);
            let tokenizer = Tokenizer::new(encoding).ok_or_else(|| unknown(BEGIN_TOKEN))?;
            Ok(Some(tokenizer))
        }
    }
}

fn pad_token(folder: &Path) -> Result<Option<String>, TokenizerFolderError> {
    for name in ["tokenizer_config.json", "special_tokens_map.json"] {
        let path = folder.join(name);
        let config: TokenizerConfig = match read(&path)? {
            Some(text) => parse(&path, &text)?,
            None => TokenizerConfig::default(),
        };
        match config.pad_token {
            Some(Token::Text(token) | Token::Added { content: token }) => return Ok(Some(token)),
            None => {}
        }
    }
    Ok(None)
}

/// The text of a file; `None` when there is no such file.
fn read(path: &Path) -> Result<Option<String>, TokenizerFolderError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerFolderError::Io {
            path: path.to_path_buf(),
            source,
        }),
    }
}

fn parse<T: DeserializeOwned>(path: &Path, text: &str) -> Result<T, TokenizerFolderError> {
    serde_json::from_str(text).map_err(|source| TokenizerFolderError::Json {
        path: path.to_path_buf(),
        source,
    })
}
