use std::{fs, io, path::Path};

use crate::{Problem, caption_file::utf8};

/// All of a caption file, taken apart so that its caption can be changed and everything else stays as it is: byte order
/// mark, line ends, further lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct CaptionText {
    before: String,
    /// The first line that has words, without the spaces around it.
    pub(crate) caption: String,
    after: String,
}

impl CaptionText {
    /// Reads a file; one that is not there is empty.
    ///
    /// # Errors
    /// When it cannot be read or is not UTF-8.
    pub(crate) fn read(path: &Path) -> Result<Self, Problem> {
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
        Ok(Self::parse(&utf8(path, bytes)?))
    }

    pub(crate) fn parse(text: &str) -> Self {
        let words = text
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(text)
            .trim_start();
        let (before, words) = text.split_at(text.len() - words.len());
        let line = words.lines().next().unwrap_or_default().trim_end();
        let (caption, after) = words.split_at(line.len());
        Self {
            before: before.to_owned(),
            caption: caption.to_owned(),
            after: after.to_owned(),
        }
    }

    /// The file with another caption. One that had no words keeps its byte order mark and kind of line ends, and ends with
    /// a line end, as sd-scripts writes it.
    pub(crate) fn with(&self, caption: &str) -> String {
        if !self.caption.is_empty() {
            return format!("{}{caption}{}", self.before, self.after);
        }
        let mark = if self.before.starts_with(BYTE_ORDER_MARK) {
            "\u{feff}"
        } else {
            ""
        };
        let end = if self.before.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        format!("{mark}{caption}{end}")
    }

    /// Whether lines with words follow the caption.
    pub(crate) fn has_further_lines(&self) -> bool {
        !self.after.trim().is_empty()
    }
}

const BYTE_ORDER_MARK: char = '\u{feff}';

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
            ("\n\n", "X\n"),
            ("\u{feff} \r\n", "\u{feff}X\r\n"),
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
