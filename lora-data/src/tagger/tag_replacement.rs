use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::TagRuleError;

/// One tag written as another, or as several with commas between them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagReplacement {
    /// The tag as the tagger names it; underscores and spaces are the same.
    pub old: String,
    /// What is written instead, exactly so.
    pub new: String,
}

impl FromStr for TagReplacement {
    type Err = TagRuleError;

    /// Reads `old=new`. The last `=` counts, so that `=_==closed eyes` replaces the face `=_=`.
    fn from_str(text: &str) -> Result<Self, TagRuleError> {
        let sides = text.rsplit_once('=');
        let sides = sides.map(|(old, new)| (old.trim(), new.trim()));
        match sides {
            Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok(Self {
                old: old.to_owned(),
                new: new.to_owned(),
            }),
            _ => Err(TagRuleError::Replacement {
                text: text.to_owned(),
            }),
        }
    }
}

impl TryFrom<String> for TagReplacement {
    type Error = TagRuleError;

    fn try_from(text: String) -> Result<Self, TagRuleError> {
        text.parse()
    }
}

impl From<TagReplacement> for String {
    fn from(replacement: TagReplacement) -> Self {
        replacement.to_string()
    }
}

impl fmt::Display for TagReplacement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.old, self.new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_and_new() {
        for (text, old, new) in [
            ("long_hair=hair", "long_hair", "hair"),
            ("cat = cat, animal", "cat", "cat, animal"),
            ("=_==closed eyes", "=_=", "closed eyes"),
        ] {
            let replacement: TagReplacement = text.parse().unwrap();
            assert_eq!(
                (replacement.old.as_str(), replacement.new.as_str()),
                (old, new)
            );
        }
    }

    #[test]
    fn half_a_replacement_is_an_error() {
        for text in ["cat", "cat=", "=cat", "="] {
            let error = text.parse::<TagReplacement>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!("\"{text}\" is not of the form old=new; to leave a tag out, exclude it")
            );
        }
    }
}
