use std::{
    cmp::Reverse,
    collections::{HashMap, HashSet},
};

use super::{CaptionOptions, TagsError, tag_line::TagLine};
use crate::tagger::{TagPattern, tag_key::tag_key};

/// Something to be done to the captions of a selection.
///
/// Tags are the same whatever their case, underscores and escaped brackets, unless it says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Adds tags that a caption does not have.
    Add {
        /// The tags, named as in captions; each may be several.
        tags: Vec<String>,
        /// Where they go.
        place: Place,
        /// Whether those that it has are moved there.
        moved: bool,
    },
    /// Removes tags.
    Remove {
        /// Which.
        patterns: Vec<TagPattern>,
    },
    /// Writes tags as others. What a caption has already does not come a second time.
    Replace {
        /// Which. Of a regular expression, what it finds in a tag is replaced.
        old: TagPattern,
        /// What is written instead: a tag, or several with separators between them. With a regular expression `$1` and
        /// `${name}` stand for what its groups found.
        new: String,
    },
    /// Writes a tag as another in every spelling; where a caption has both, one stays.
    Rename {
        /// The tag.
        old: String,
        /// Its new name.
        new: String,
    },
    /// Sorts the tags.
    Sort {
        /// By what.
        by: SortOrder,
        /// How many at the front keep their place.
        keep: usize,
    },
    /// Removes tags that a caption has already further to the front.
    Dedupe {
        /// Whether `Long_Hair` counts as `long hair`; otherwise letters must be the same.
        variants: bool,
    },
    /// Makes this the caption.
    SetCaption(String),
    /// Makes this the whole file.
    SetFile(String),
}

/// Where tags are added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Place {
    /// Before all others.
    Front,
    /// Behind all others.
    #[default]
    Back,
    /// So that the first of them has this number, counted from 1; at the end, if there are not so many.
    At(usize),
}

/// What tags are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SortOrder {
    /// By the alphabet, without regard to case.
    #[default]
    Name,
    /// The most frequent of the folder first, then by the alphabet.
    Frequency,
}

/// An edit whose words have been read, and what it needs to know of the folder.
pub(super) enum ReadyEdit<'a> {
    Tags(Box<dyn Fn(&mut TagLine) + 'a>),
    Caption(&'a str),
    File(&'a str),
}

impl Edit {
    /// Reads the edit's words; `frequency` counts the captions that have a tag, by key.
    ///
    /// # Errors
    /// When something named is no tag.
    pub(super) fn ready<'a>(
        &'a self,
        options: &'a CaptionOptions,
        frequency: &'a HashMap<String, usize>,
    ) -> Result<ReadyEdit<'a>, TagsError> {
        Ok(ReadyEdit::Tags(match self {
            Self::Add { tags, place, moved } => {
                let named = all_tags(tags, options)?;
                Box::new(move |line| add(line, &named, *place, *moved))
            }
            Self::Remove { patterns } => Box::new(|line| {
                line.retain(|tag| !patterns.iter().any(|pattern| pattern.matches(tag)));
            }),
            Self::Replace { old, new } => {
                if !old.is_expression() || new.contains(['\n', '\r']) {
                    options.tags(new)?;
                }
                Box::new(|line| {
                    replace(line, |tag| Some(tags_of(&old.replaced(tag, new)?, options)));
                })
            }
            Self::Rename { old, new } => {
                let (key, new) = (tag_key(&one_tag(old, options)?), one_tag(new, options)?);
                Box::new(move |line| {
                    replace(line, |tag| (tag_key(tag) == key).then(|| vec![new.clone()]));
                })
            }
            Self::Sort { by, keep } => Box::new(|line| {
                line.sort_by_key(*keep, |tag| by.key(tag, frequency));
            }),
            Self::Dedupe { variants } => Box::new(|line| dedupe(line, *variants)),
            Self::SetCaption(text) => {
                let text = text.trim();
                if text.contains(['\n', '\r']) {
                    return Err(TagsError::CaptionOfLines);
                }
                return Ok(ReadyEdit::Caption(text));
            }
            Self::SetFile(text) => return Ok(ReadyEdit::File(text)),
        }))
    }

    /// Whether it goes by how many captions have each tag.
    pub(super) fn needs_frequency(&self) -> bool {
        matches!(
            self,
            Self::Sort {
                by: SortOrder::Frequency,
                ..
            }
        )
    }
}

impl SortOrder {
    /// What tags are compared by.
    fn key(self, tag: &str, frequency: &HashMap<String, usize>) -> (Reverse<usize>, String) {
        let key = tag_key(tag);
        let count = match self {
            Self::Name => 0,
            Self::Frequency => frequency.get(&key).copied().unwrap_or(0),
        };
        (Reverse(count), key)
    }
}

fn dedupe(line: &mut TagLine, variants: bool) {
    let mut seen = HashSet::new();
    line.retain(|tag| {
        seen.insert(if variants {
            tag_key(tag)
        } else {
            tag.to_owned()
        })
    });
}

fn tags_of(text: &str, options: &CaptionOptions) -> Vec<String> {
    let line = TagLine::parse(text, options);
    line.tags().map(str::to_owned).collect()
}

fn all_tags(texts: &[String], options: &CaptionOptions) -> Result<Vec<String>, TagsError> {
    let mut seen = HashSet::new();
    let mut all = Vec::new();
    for text in texts {
        all.extend(options.tags(text)?);
    }
    all.retain(|tag| seen.insert(tag_key(tag)));
    Ok(all)
}

fn one_tag(text: &str, options: &CaptionOptions) -> Result<String, TagsError> {
    let mut tags = options.tags(text)?;
    match tags.pop() {
        Some(tag) if tags.is_empty() => Ok(tag),
        _ => Err(TagsError::NoTag {
            text: text.to_owned(),
            reason: "names several tags; replace writes a tag as several".to_owned(),
        }),
    }
}

fn add(line: &mut TagLine, named: &[String], place: Place, moved: bool) {
    let mut new = named.to_vec();
    if moved {
        if is_there(line, named, place) {
            return;
        }
        let keys: HashSet<String> = named.iter().map(|tag| tag_key(tag)).collect();
        line.retain(|tag| !keys.contains(&tag_key(tag)));
    } else {
        let present: HashSet<String> = line.tags().map(tag_key).collect();
        new.retain(|tag| !present.contains(&tag_key(tag)));
    }
    match place {
        Place::Front => line.insert_first(new),
        Place::Back => line.insert(usize::MAX, new),
        Place::At(number) => line.insert(number.saturating_sub(1), new),
    }
}

/// Whether the tags stand at their place already, each of them once.
fn is_there(line: &TagLine, named: &[String], place: Place) -> bool {
    let keys: Vec<String> = line.tags().map(tag_key).collect();
    let wanted: Vec<String> = named.iter().map(|tag| tag_key(tag)).collect();
    let last = keys.len().saturating_sub(wanted.len());
    let start = match place {
        Place::Front => 0,
        Place::Back => last,
        Place::At(number) => number.saturating_sub(1).min(last),
    };
    let once = |key: &String| keys.iter().filter(|one| *one == key).count() == 1;
    keys.get(start..start + wanted.len()) == Some(&wanted) && wanted.iter().all(once)
}

/// Rewrites tags. What is written stays out where the caption has it elsewhere.
fn replace(line: &mut TagLine, rewrite: impl Fn(&str) -> Option<Vec<String>>) {
    let stays = |tag: &&str| rewrite(tag).is_none();
    let mut seen: HashSet<String> = line.tags().filter(stays).map(tag_key).collect();
    line.rewrite(|tag| {
        let mut written = rewrite(tag)?;
        written.retain(|one| seen.insert(tag_key(one)));
        Some(written)
    });
}
