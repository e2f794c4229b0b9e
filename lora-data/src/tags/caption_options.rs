use super::{TagsError, tag_line::TagLine};

/// How the captions of a folder are found and taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptionOptions {
    /// The extension of caption files, with or without the dot. Unset: a caption in `.txt` or `.caption`, the first of
    /// which counts, is the picture's, and new ones are `.txt`.
    pub extension: Option<String>,
    /// Whether folders in the folder are entered, whatever their names.
    pub recursive: bool,
    /// What stands between two tags. Within a wildcard such as `{a, b|c}` it is part of the tag.
    pub separator: String,
    /// kohya's `keep_tokens_separator`: no tag, but a mark that keeps its place.
    pub keep_tokens_separator: Option<String>,
}

impl Default for CaptionOptions {
    fn default() -> Self {
        Self {
            extension: None,
            recursive: false,
            separator: ",".to_owned(),
            keep_tokens_separator: Some("|||".to_owned()),
        }
    }
}

impl CaptionOptions {
    /// Whether the options can be used.
    ///
    /// # Errors
    /// When one has a value that it cannot have.
    pub fn check(&self) -> Result<(), TagsError> {
        let setting = |setting, value: &str, expected| TagsError::Setting {
            setting,
            value: format!("\"{value}\""),
            expected,
        };
        if self.separator.is_empty() || self.separator.contains(['\n', '\r']) {
            let expected = "what stands between two tags, usually \",\"";
            return Err(setting("separator", &self.separator, expected));
        }
        if let Some(mark) = &self.keep_tokens_separator
            && (mark.trim().is_empty() || mark.contains(&self.separator))
        {
            let expected = "a mark such as \"|||\", without the separator in it";
            return Err(setting("keep_tokens_separator", mark, expected));
        }
        match self.extensions().first() {
            Some(extension) if extension.is_empty() || extension.contains(['/', '\\', '\0']) => {
                let expected = "the end of a file's name, such as txt";
                Err(setting("extension", extension, expected))
            }
            _ => Ok(()),
        }
    }

    /// The extensions of caption files, without the dot; the first is that of new ones.
    pub(super) fn extensions(&self) -> Vec<String> {
        match &self.extension {
            Some(extension) => vec![extension.trim_start_matches('.').to_owned()],
            None => ["txt", "caption"].map(String::from).into(),
        }
    }

    /// The tags that are named in `text` as in a caption.
    ///
    /// # Errors
    /// When there is none, or something that is none.
    pub(super) fn tags(&self, text: &str) -> Result<Vec<String>, TagsError> {
        let refused = |reason| TagsError::NoTag {
            text: text.to_owned(),
            reason,
        };
        if text.contains(['\n', '\r']) {
            return Err(refused("has a line end".to_owned()));
        }
        let line = TagLine::parse(text, self);
        if line.has_marks() {
            let mark = self.keep_tokens_separator.as_deref().unwrap_or_default();
            return Err(refused(format!("has {mark} in it, which is no tag")));
        }
        let tags: Vec<String> = line.tags().map(str::to_owned).collect();
        if tags.is_empty() {
            return Err(refused("names no tag".to_owned()));
        }
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_make_no_sense_are_refused() {
        let usual = CaptionOptions::default;
        assert!(usual().check().is_ok());
        for options in [
            CaptionOptions {
                separator: String::new(),
                ..usual()
            },
            CaptionOptions {
                keep_tokens_separator: Some(" ".to_owned()),
                ..usual()
            },
            CaptionOptions {
                keep_tokens_separator: Some("|,|".to_owned()),
                ..usual()
            },
            CaptionOptions {
                extension: Some("../x".to_owned()),
                ..usual()
            },
        ] {
            assert!(options.check().is_err(), "{options:?}");
        }
    }

    #[test]
    fn tags_are_named_as_in_a_caption() {
        let options = CaptionOptions::default();
        assert_eq!(
            options.tags("a dog, {red, x|blue} hat,").unwrap(),
            ["a dog", "{red, x|blue} hat"]
        );
        for text in ["", " , ", "a ||| b", "a\nb"] {
            assert!(options.tags(text).is_err(), "{text:?}");
        }
    }
}
