use std::{fs, path::Path};

use crate::Problem;

/// The words of a caption file, and how many lines beyond the one that counts were left out.
pub(crate) struct CaptionFile {
    pub(crate) caption: String,
    pub(crate) unused_lines: usize,
}

impl CaptionFile {
    /// Reads the first line that has words, as kohya does, or `all_lines` that have; a byte order mark and Windows line
    /// ends are no part of them.
    ///
    /// A file without words gives an empty caption.
    ///
    /// # Errors
    /// When the file cannot be read or is not UTF-8.
    pub(crate) fn read(path: &Path, all_lines: bool) -> Result<Self, Problem> {
        Ok(Self::parse(&read_text(path)?, all_lines))
    }

    fn parse(text: &str, all_lines: bool) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        if all_lines {
            return Self {
                caption: lines.collect::<Vec<_>>().join("\n"),
                unused_lines: 0,
            };
        }
        let caption = lines.next().unwrap_or_default().to_owned();
        Self {
            caption,
            unused_lines: lines.count(),
        }
    }
}

/// Reads a caption file whole.
///
/// # Errors
/// When the file cannot be read or is not UTF-8.
pub(crate) fn read_text(path: &Path) -> Result<String, Problem> {
    let bytes = fs::read(path).map_err(|cause| Problem::CaptionUnreadable {
        path: path.into(),
        cause,
    })?;
    utf8(path, bytes)
}

/// What a caption file holds, as text.
///
/// # Errors
/// When it is not UTF-8: with the line and the place of the first byte that is not.
pub(crate) fn utf8(path: &Path, bytes: Vec<u8>) -> Result<String, Problem> {
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        Problem::CaptionNotUtf8 {
            path: path.into(),
            line: line_at(error.as_bytes(), offset),
            byte: offset + 1,
        }
    })
}

/// The line, counted from 1, on which the byte at `offset` stands.
pub(crate) fn line_at(bytes: &[u8], offset: usize) -> usize {
    bytes[..offset].split(|&byte| byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_mark_line_ends_and_blank_lines_are_no_part_of_the_caption() {
        for text in ["a dog", "\u{feff}a dog\r\n", "\r\n  a dog \n\n", "a dog\n"] {
            let file = CaptionFile::parse(text, false);
            assert_eq!(
                (file.caption.as_str(), file.unused_lines),
                ("a dog", 0),
                "{text:?}"
            );
        }
    }

    #[test]
    fn the_first_line_counts_and_the_others_are_told() {
        let file = CaptionFile::parse("a dog\r\n\r\na cat\r\na bird", false);
        assert_eq!((file.caption.as_str(), file.unused_lines), ("a dog", 2));
        let file = CaptionFile::parse("a dog\r\n\r\na cat", true);
        assert_eq!(
            (file.caption.as_str(), file.unused_lines),
            ("a dog\na cat", 0)
        );
    }

    #[test]
    fn a_file_without_words_gives_an_empty_caption() {
        assert_eq!(CaptionFile::parse("\u{feff} \r\n\n", false).caption, "");
    }

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(line_at(b"ab\ncd\n\xff", 6), 3);
        assert_eq!(line_at(b"\xff", 0), 1);
    }
}
