//! Pictures by their captions, as `1girl AND (smile OR "open mouth") AND NOT solo`.

mod error;
mod expression;
mod parser;
mod scanner;
mod text_pattern;

use std::{fmt, str::FromStr};

pub use error::FilterError;
use expression::Expression;

use super::Caption;

/// Which pictures of a folder are meant.
///
/// A name is a tag, as in a caption: words with spaces between them are one tag, and underscores, capitals and escaped
/// brackets do not count. `*` stands for any letters, `/…/` is a regular expression, quotes hold words together.
/// `AND` (or a comma), `OR` and `NOT` join, in the order of `NOT` before `AND` before `OR`; brackets group.
///
/// | field | |
/// | --- | --- |
/// | `tag:smile` | the same as `smile` |
/// | `text:dog` | captions with these letters in them, or that `text:/…/` finds |
/// | `name:fox*`, `file:` | pictures by their name, with or without the ending or the folders |
/// | `folder:10_*` | pictures by their folder |
/// | `tags>30`, `tokens>75` | by how many; also `<`, `>=`, `<=`, `=`, `!=` |
/// | `caption:none`, `caption:empty` | pictures without a caption file; without a tag |
#[derive(Clone, Debug)]
pub struct Filter {
    text: String,
    expression: Expression,
}

impl Filter {
    /// Whether the filter wants this picture; `tokens` counts the tokens of a text.
    pub fn matches(&self, caption: &Caption, tokens: &dyn Fn(&str) -> usize) -> bool {
        self.expression.matches(caption, tokens)
    }

    /// The tags that are asked for by name.
    pub fn tag_names(&self) -> Vec<&str> {
        self.expression.tag_names()
    }
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Self, FilterError> {
        Ok(Self {
            text: text.to_owned(),
            expression: parser::parse(text)?,
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
