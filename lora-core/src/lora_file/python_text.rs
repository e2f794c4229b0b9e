//! Values spelled as Python's `str` and `json.dumps` spell them, because that is what readers of `ss_*` metadata parse.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, Formatter, Serializer};

/// `True` or `False`.
pub(super) fn boolean(value: bool) -> String {
    if value { "True" } else { "False" }.to_owned()
}

/// The shortest decimal that reads back as `value`: `1.0`, `0.0001`, `1e-05`.
pub(super) fn float(value: f64) -> String {
    let text = format!("{value:?}");
    match text.split_once('e') {
        // Python gives an exponent its sign and two digits at least.
        Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
            Some(digits) => format!("{mantissa}e-{digits:0>2}"),
            None => format!("{mantissa}e+{exponent:0>2}"),
        },
        None => text,
    }
}

/// The value's own spelling, or `None`.
pub(super) fn optional<T>(value: Option<T>, spell: impl Fn(T) -> String) -> String {
    value.map_or_else(|| "None".to_owned(), spell)
}

/// `json.dumps` with its default settings: a space after commas and colons, everything beyond ASCII escaped.
pub(super) fn json(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    // Maps with string keys cannot fail to serialise, and writing to a vector neither.
    let _ = value.serialize(&mut Serializer::with_formatter(&mut bytes, PythonFormatter));
    String::from_utf8_lossy(&bytes).into_owned()
}

struct PythonFormatter;

impl Formatter for PythonFormatter {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        writer.write_all(if first { b"" } else { b", " })
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }

    fn write_string_fragment<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut units = [0; 2];
        for character in fragment.chars() {
            if matches!(character, ' '..='~') {
                writer.write_all(&[character as u8])?;
            } else {
                for unit in character.encode_utf16(&mut units) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        escape: CharEscape,
    ) -> io::Result<()> {
        match escape {
            // serde_json would write capital digits.
            CharEscape::AsciiControl(byte) => write!(writer, "\\u{byte:04x}"),
            CharEscape::Quote => writer.write_all(b"\\\""),
            CharEscape::ReverseSolidus => writer.write_all(b"\\\\"),
            CharEscape::Solidus => writer.write_all(b"/"),
            CharEscape::Backspace => writer.write_all(b"\\b"),
            CharEscape::FormFeed => writer.write_all(b"\\f"),
            CharEscape::LineFeed => writer.write_all(b"\\n"),
            CharEscape::CarriageReturn => writer.write_all(b"\\r"),
            CharEscape::Tab => writer.write_all(b"\\t"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_spelled_as_by_python() {
        for (value, expected) in [
            (1.0, "1.0"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (0.000_015, "1.5e-05"),
            (1e-10, "1e-10"),
            (1e16, "1e+16"),
            (1_795_367_043.285_495_3, "1795367043.2854953"),
        ] {
            assert_eq!(float(value), expected);
        }
    }

    #[test]
    fn json_is_spelled_as_by_python() {
        let value = serde_json::json!({"1_a \"dog\"": [1, 2.5, null], "水🐉\u{7f}\u{1b}": true});
        let expected = r#"{"1_a \"dog\"": [1, 2.5, null], "\u6c34\ud83d\udc09\u007f\u001b": true}"#;
        assert_eq!(json(&value), expected);
    }
}
