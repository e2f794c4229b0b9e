//! HTML entities such as `&amp;` and `&#39;`, which captions scraped from web pages are full of.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};

/// `name code-points-in-hex`, one entity per line: the WHATWG list's names that end in a semicolon, and the all-caps
/// forms that ftfy adds to it.
const ENTITIES: &str = include_str!("../../assets/html_entities.txt");

static ENTITY: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("&(#?[0-9A-Za-z]{1,24});")
        .expect("a constant pattern, compiled by this file's tests")
});

static BY_NAME: LazyLock<HashMap<&str, String>> = LazyLock::new(|| {
    let lines = ENTITIES.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, codes)| (name, codes.split(' ').filter_map(hexadecimal).collect()))
        .collect()
});

/// What U+0080 to U+009F mean to a browser: Windows-1252, with the gaps left as they are.
pub(super) const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž', '\u{8F}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}', 'ž', 'Ÿ',
];

/// Replaces every entity that has a meaning; anything else stays as it is.
pub(super) fn unescape(text: &str) -> Cow<'_, str> {
    ENTITY.replace_all(text, |found: &Captures| {
        let name = &found[1];
        let meaning = match name.strip_prefix('#') {
            Some(number) => numbered(number),
            None => BY_NAME.get(name).cloned(),
        };
        // ftfy takes a semicolon in the result for a half-read entity, which leaves `&#59;` as it is.
        meaning
            .filter(|meaning| !(name.starts_with('#') && meaning.contains(';')))
            .unwrap_or_else(|| found[0].to_owned())
    })
}

/// The meaning of `&#number;`; `None` when `number` is neither decimal nor `x` and hexadecimal.
fn numbered(number: &str) -> Option<String> {
    let (digits, radix) = match number.strip_prefix(['x', 'X']) {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    // 24 digits can be too many for any integer; those are beyond Unicode anyway.
    let code = u32::from_str_radix(digits, radix).unwrap_or(u32::MAX);
    Some(match code {
        0x80..=0x9F => WINDOWS_1252[code as usize - 0x80].into(),
        0x01..=0x08 | 0x0B | 0x0E..=0x1F | 0x7F | 0xFDD0..=0xFDEF => String::new(),
        0 => char::REPLACEMENT_CHARACTER.into(),
        _ if code <= 0x10_FFFF && code & 0xFFFE == 0xFFFE => String::new(),
        _ => char::from_u32(code)
            .unwrap_or(char::REPLACEMENT_CHARACTER)
            .into(),
    })
}

fn hexadecimal(code: &str) -> Option<char> {
    char::from_u32(u32::from_str_radix(code, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_numbered_and_shouted_entities_are_replaced() {
        let text = "&lt;b&gt; &EACUTE;t&eacute; &#39;&#x27; &#128; &#0; &#xFFFFFFFFFF;";
        assert_eq!(unescape(text), "<b> Été '' € \u{FFFD} \u{FFFD}");
    }

    #[test]
    fn what_is_no_entity_stays() {
        for text in [
            "this&not that",
            "&nTILDE;",
            "&#59;",
            "&#12ab;",
            "&#;",
            "&;",
            "a & b;",
        ] {
            assert_eq!(unescape(text), text);
        }
    }
}
