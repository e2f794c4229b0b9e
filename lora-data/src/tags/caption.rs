use std::path::{Path, PathBuf};

use super::{CaptionOptions, tag_line::TagLine};
use crate::{caption_text::CaptionText, findings::file_name, folder_listing::stem, wildcard};

/// A picture with its caption.
#[derive(Clone, Debug)]
pub struct Caption {
    picture: PathBuf,
    file: PathBuf,
    /// The picture's path below the set's folder.
    name: String,
    /// All of the file, if it is there.
    text: Option<String>,
    parts: CaptionText,
    tags: Vec<String>,
}

impl Caption {
    pub(super) fn new(
        folder: &Path,
        picture: PathBuf,
        file: PathBuf,
        text: Option<String>,
        options: &CaptionOptions,
    ) -> Self {
        let below = picture.strip_prefix(folder).unwrap_or(&picture);
        let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
        let mut caption = Self {
            name: parts.join("/"),
            picture,
            file,
            text: None,
            parts: CaptionText::default(),
            tags: Vec::new(),
        };
        caption.set_text(text, options);
        caption
    }

    pub(super) fn set_text(&mut self, text: Option<String>, options: &CaptionOptions) {
        self.parts = CaptionText::parse(text.as_deref().unwrap_or_default());
        let line = TagLine::parse(&self.parts.caption, options);
        self.tags = line.tags().map(str::to_owned).collect();
        self.text = text;
    }

    /// The picture's file.
    pub fn picture(&self) -> &Path {
        &self.picture
    }

    /// The caption's file, there or not.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Whether the caption's file is there.
    pub fn has_file(&self) -> bool {
        self.text.is_some()
    }

    /// The picture's path below the folder, with slashes.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The caption: the first line of the file that has words, trimmed; empty where there is none.
    pub fn caption(&self) -> &str {
        &self.parts.caption
    }

    /// The tags of the caption, in order, as they are written.
    pub fn tags(&self) -> impl Iterator<Item = &str> {
        self.tags.iter().map(String::as_str)
    }

    /// All of the caption's file, if it is there.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// How many tokens the caption has by `count`. Of wildcards, the longest alternative counts.
    pub fn tokens(&self, count: &dyn Fn(&str) -> usize) -> usize {
        let texts = wildcard::every(&self.parts.caption);
        let tokens = texts.iter().map(|text| count(text));
        tokens.max().unwrap_or(0)
    }

    pub(super) fn parts(&self) -> &CaptionText {
        &self.parts
    }

    pub(super) fn file_name(&self) -> String {
        file_name(&self.picture)
    }

    pub(super) fn file_stem(&self) -> String {
        stem(&self.picture).to_string_lossy().into_owned()
    }

    /// The folder's path below the set's, empty for that itself.
    pub(super) fn folder(&self) -> &str {
        self.name.rsplit_once('/').map_or("", |(folder, _)| folder)
    }
}
