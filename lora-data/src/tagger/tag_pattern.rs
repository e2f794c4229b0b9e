use std::{fmt, str::FromStr};

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::{
    TagRuleError,
    tag_key::{spaced, tag_key},
};

/// Tags by name: `long hair` that tag, `*_background` all that end so, `/^(red|blue) /` all that the regular
/// expression finds. Underscores and spaces are the same, and so are capitals and small letters.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TagPattern {
    text: String,
    regex: Regex,
}

impl TagPattern {
    /// Whether a tag, named as in a list or as in a caption, is one of those.
    pub fn matches(&self, tag: &str) -> bool {
        if self.is_expression() {
            return self.regex.is_match(tag) || self.regex.is_match(&spaced(tag));
        }
        self.regex.is_match(&tag_key(tag))
    }

    /// The patterns of a list with commas; a regular expression between slashes is one, whatever it holds.
    ///
    /// # Errors
    /// When a regular expression is malformed or nothing is named.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, TagRuleError> {
        if expression(text).is_some() {
            return Ok(vec![text.parse()?]);
        }
        text.split(',').map(str::parse).collect()
    }

    /// What becomes of a tag that is one of those: `new`; of a regular expression, the tag with `new` for all that is found
    /// in it, where `$1` is what the first group found.
    pub(crate) fn replaced(&self, tag: &str, new: &str) -> Option<String> {
        if !self.is_expression() {
            return self.matches(tag).then(|| new.to_owned());
        }
        let replaced = |text: &str| {
            let found = self.regex.is_match(text);
            found.then(|| self.regex.replace_all(text, new).into_owned())
        };
        replaced(tag).or_else(|| replaced(&spaced(tag)))
    }

    /// Whether it is a regular expression.
    pub(crate) fn is_expression(&self) -> bool {
        expression(&self.text).is_some()
    }

    /// The name of the one tag that is meant, where it is no pattern.
    pub fn name(&self) -> Option<&str> {
        (!self.is_expression() && !self.text.contains('*')).then_some(&self.text)
    }
}

impl FromStr for TagPattern {
    type Err = TagRuleError;

    fn from_str(text: &str) -> Result<Self, TagRuleError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TagRuleError::EmptyPattern);
        }
        let stars = || {
            let parts: Vec<String> = tag_key(text).split('*').map(regex::escape).collect();
            format!("^{}$", parts.join(".*"))
        };
        let source = expression(text).map_or_else(stars, str::to_owned);
        let regex = RegexBuilder::new(&source)
            .case_insensitive(true)
            .build()
            .map_err(|error| TagRuleError::Pattern {
                pattern: source,
                reason: reason_of(&error),
            })?;
        Ok(Self {
            text: text.to_owned(),
            regex,
        })
    }
}

impl TryFrom<String> for TagPattern {
    type Error = TagRuleError;

    fn try_from(text: String) -> Result<Self, TagRuleError> {
        text.parse()
    }
}

impl From<TagPattern> for String {
    fn from(pattern: TagPattern) -> Self {
        pattern.text
    }
}

impl fmt::Display for TagPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for TagPattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for TagPattern {}

/// What stands between slashes.
fn expression(text: &str) -> Option<&str> {
    let inner = text.trim().strip_prefix('/')?.strip_suffix('/')?;
    (!inner.is_empty()).then_some(inner)
}

/// The last line of the message, for the others draw where in the expression it is.
fn reason_of(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stars_and_regular_expressions() {
        for (pattern, tag, expected) in [
            ("long hair", "long_hair", true),
            ("Long_Hair", "long hair", true),
            ("long hair", "very_long_hair", false),
            ("*_background", "simple_background", true),
            ("* background", "simple_background", true),
            ("*_background", "backgrounds", false),
            ("saber*", "saber_(fate)", true),
            ("saber_(fate)", "saber_(fate)", true),
            ("*", "anything", true),
            ("^_^", "^_^", true),
            (".", "a", false),
            ("/^(red|blue)_eyes$/", "blue_eyes", true),
            ("/^(red|blue) eyes$/", "blue_eyes", true),
            ("/hair/", "very_long_hair", true),
            ("/^hair/", "long_hair", false),
            ("/", "/", true),
        ] {
            let matches = pattern.parse::<TagPattern>().unwrap().matches(tag);
            assert_eq!(matches, expected, "{pattern} on {tag}");
        }
    }

    #[test]
    fn lists_are_split_at_commas_and_expressions_are_not() {
        let texts = |list| -> Vec<String> {
            let patterns = TagPattern::parse_list(list).unwrap();
            patterns.into_iter().map(String::from).collect()
        };
        assert_eq!(texts("solo, *_hair"), ["solo", "*_hair"]);
        assert_eq!(texts("/^a{1,2}$/"), ["/^a{1,2}$/"]);
    }

    #[test]
    fn malformed_patterns_are_named() {
        let error = |list| TagPattern::parse_list(list).unwrap_err().to_string();
        assert_eq!(
            error("/a(/"),
            "/a(/ is no regular expression: unclosed group"
        );
        assert_eq!(error("solo,,"), "a tag is named by nothing");
        assert!(serde_json::from_str::<TagPattern>("\"/a(/\"").is_err());
    }
}
