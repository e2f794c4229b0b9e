use std::{fs, io, path::Path};

use crate::{Problem, caption_file::line_at};

/// All of a caption file, taken apart so that its caption can be changed and everything else stays as it is: byte order
/// mark, line ends, further lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CaptionText {
    before: String,
    /// The first line that has words, without the spaces around it.
    pub(super) caption: String,
    after: String,
}

impl CaptionText {
    /// Reads a file; one that is not there is empty.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8.
    pub(super) fn read(path: &Path) -> Result<Self, Problem> {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(cause) => {
                return Err(Problem::CaptionUnreadable {
                    path: path.into(),
                    cause,
                });
            }
        };
        let text = String::from_utf8(bytes).map_err(|error| Problem::CaptionNotUtf8 {
            path: path.into(),
            line: line_at(error.as_bytes(), error.utf8_error().valid_up_to()),
        })?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let words = text.strip_prefix('\u{feff}').unwrap_or(text).trim_start();
        let (before, words) = text.split_at(text.len() - words.len());
        let line = words.lines().next().unwrap_or_default().trim_end();
        let (caption, after) = words.split_at(line.len());
        Self {
            before: before.to_owned(),
            caption: caption.to_owned(),
            after: after.to_owned(),
        }
    }

    /// The file with another caption. One that had no words ends with a line end, as sd-scripts writes it.
    pub(super) fn with(&self, caption: &str) -> String {
        if self.caption.is_empty() {
            return format!("{caption}\n");
        }
        format!("{}{caption}{}", self.before, self.after)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_first_line_with_words_changes() {
        for (text, expected) in [
            ("a dog", "X"),
            ("a dog\n", "X\n"),
            (
                "\u{feff}a dog \r\nsecond line\r\n",
                "\u{feff}X \r\nsecond line\r\n",
            ),
            ("\r\n  a dog\r\n\r\nb", "\r\n  X\r\n\r\nb"),
            ("", "X\n"),
            ("\u{feff} \r\n", "X\n"),
        ] {
            assert_eq!(CaptionText::parse(text).with("X"), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost(text in "\u{feff}?[ \r\n\ta-c,狐]{0,12}") {
            let parsed = CaptionText::parse(&text);
            if !parsed.caption.is_empty() {
                prop_assert_eq!(parsed.with(&parsed.caption), text);
            }
        }
    }
}
