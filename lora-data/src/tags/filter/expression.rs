use super::text_pattern::TextPattern;
use crate::{tagger::TagPattern, tags::Caption};

/// What a filter asks of a picture.
#[derive(Clone, Debug)]
pub(super) enum Expression {
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Not(Box<Expression>),
    Tag(TagPattern),
    Text(TextPattern),
    Name(TextPattern),
    Folder(TextPattern),
    Tags(Comparison, usize),
    Tokens(Comparison, usize),
    NoFile,
    NoTag,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Less,
    AtMost,
    Equal,
    Unequal,
    AtLeast,
    More,
}

impl Comparison {
    /// All, those first of which another is the beginning.
    pub(super) const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("!=", Self::Unequal),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::More),
    ];

    fn holds(self, one: usize, other: usize) -> bool {
        match self {
            Self::Less => one < other,
            Self::AtMost => one <= other,
            Self::Equal => one == other,
            Self::Unequal => one != other,
            Self::AtLeast => one >= other,
            Self::More => one > other,
        }
    }
}

impl Expression {
    pub(super) fn matches(&self, caption: &Caption, tokens: &dyn Fn(&str) -> usize) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.matches(caption, tokens)),
            Self::Any(parts) => parts.iter().any(|part| part.matches(caption, tokens)),
            Self::Not(part) => !part.matches(caption, tokens),
            Self::Tag(pattern) => caption.tags().any(|tag| pattern.matches(tag)),
            Self::Text(pattern) => pattern.matches(caption.caption()),
            Self::Name(pattern) => {
                let (name, stem) = (caption.file_name(), caption.file_stem());
                [caption.name(), &name, &stem]
                    .iter()
                    .any(|name| pattern.matches(name))
            }
            Self::Folder(pattern) => {
                let folder = caption.folder();
                let last = folder.rsplit('/').next().unwrap_or_default();
                pattern.matches(folder) || pattern.matches(last)
            }
            Self::Tags(comparison, number) => comparison.holds(caption.tags().count(), *number),
            Self::Tokens(comparison, number) => comparison.holds(caption.tokens(tokens), *number),
            Self::NoFile => !caption.has_file(),
            Self::NoTag => caption.tags().next().is_none(),
        }
    }

    pub(super) fn tag_names(&self) -> Vec<&str> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::tag_names).collect(),
            Self::Not(part) => part.tag_names(),
            Self::Tag(pattern) => pattern.name().into_iter().collect(),
            _ => Vec::new(),
        }
    }
}
