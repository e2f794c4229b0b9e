//! Text repair before tokenizing: what ftfy's `fix_text` does with its default settings.
//!
//! CLIP was trained on texts cleaned this way, and `CLIPTokenizer` repeats it, so a curly quote or a full-width letter
//! gets the ids of its plain form.
//!
//! One step is left out: ftfy guesses when UTF-8 was read in another encoding (`cafÃ©`) and undoes it. Text files are read
//! as UTF-8 here, and anything else is an error, so such captions do not come about.

use std::borrow::Cow;
use std::sync::LazyLock;

use regex::Regex;
use unicode_normalization::UnicodeNormalization;

use super::html_entities::{self, WINDOWS_1252};

/// Terminal colour codes.
static TERMINAL_ESCAPE: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("\x1B\\[[\\d;]*[a-zA-Z]").expect("a constant pattern, compiled by this file's tests")
});

/// Repairs `text` line by line, as ftfy does.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if is_plain(text) {
        return Cow::Borrowed(text);
    }
    // A `<` means real HTML, in which entities are meant to be there; it holds for the rest of the text.
    let mut unescape = true;
    let lines = text.split_inclusive('\n').map(|line| {
        unescape &= !line.contains('<');
        clean_line(line, unescape)
    });
    Cow::Owned(lines.collect())
}

/// Whether no step below can change `text`: the usual caption.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\t') && byte != b'&')
}

/// Applies the steps until nothing changes any more, because one repair can uncover the next (`&amp;amp;`).
fn clean_line(line: &str, unescape: bool) -> String {
    let mut line = line.to_owned();
    loop {
        let cleaned = clean_once(&line, unescape);
        if cleaned == line {
            return cleaned;
        }
        line = cleaned;
    }
}

fn clean_once(line: &str, unescape: bool) -> String {
    let line = if unescape {
        html_entities::unescape(line)
    } else {
        Cow::Borrowed(line)
    };
    let mut characters = String::with_capacity(line.len());
    for character in line.chars() {
        replace(character, &mut characters);
    }
    let characters = characters.replace("\r\n", "\n").replace('\r', "\n");
    let visible = TERMINAL_ESCAPE.replace_all(&characters, "");
    visible.chars().filter(|&c| !is_control(c)).nfc().collect()
}

/// Appends what stands for `character`: plain letters for ligatures and odd widths, straight quotes, plain line ends.
fn replace(character: char, text: &mut String) {
    match character {
        '\u{80}'..='\u{9F}' => text.push(WINDOWS_1252[character as usize - 0x80]),
        '\u{3000}' => text.push(' '),
        '\u{FF01}'..='\u{FFEF}' => text.extend([character].into_iter().nfkc()),
        '\u{2BC}' | '\u{2018}'..='\u{201B}' => text.push('\''),
        '\u{201C}'..='\u{201F}' => text.push('"'),
        '\u{2028}' | '\u{2029}' => text.push('\n'),
        _ => match ligature(character) {
            Some(letters) => text.push_str(letters),
            None => text.push(character),
        },
    }
}

/// The letters that a Latin ligature or digraph is made of.
fn ligature(character: char) -> Option<&'static str> {
    Some(match character {
        'Ĳ' => "IJ",
        'ĳ' => "ij",
        // ftfy writes U+02BC here, and then straightens it as a quote.
        'ŉ' => "'n",
        'Ǳ' => "DZ",
        'ǲ' => "Dz",
        'ǳ' => "dz",
        'Ǆ' => "DŽ",
        'ǅ' => "Dž",
        'ǆ' => "dž",
        'Ǉ' => "LJ",
        'ǈ' => "Lj",
        'ǉ' => "lj",
        'Ǌ' => "NJ",
        'ǋ' => "Nj",
        'ǌ' => "nj",
        'ﬀ' => "ff",
        'ﬁ' => "fi",
        'ﬂ' => "fl",
        'ﬃ' => "ffi",
        'ﬄ' => "ffl",
        'ﬅ' => "ſt",
        'ﬆ' => "st",
        _ => return None,
    })
}

/// Characters without any visible effect that are dropped; C1 controls and joiners are not among them.
fn is_control(character: char) -> bool {
    matches!(character,
        '\0'..='\u{8}' | '\u{B}' | '\u{E}'..='\u{1F}' | '\u{7F}'
        | '\u{206A}'..='\u{206F}' | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFC}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_forms_become_plain_ones() {
        let cases = [
            ("“quotes” ‘single’", "\"quotes\" 'single'"),
            ("ﬁ Ａｎｉｍｅ　Ｓｔｙｌｅ ｶﾞ", "fi Anime Style ガ"),
            ("e\u{301}", "é"),
            ("\u{91}C1\u{92}\u{85}", "'C1'…"),
            ("\u{FEFF}bom\u{1}\r\nnext\rline", "bom\nnext\nline"),
            ("\x1B[36;44mblue\x1B[0m", "blue"),
            ("&amp;amp;", "&"),
            (
                "one &lt;\ntwo < &amp;\nthree &amp;",
                "one <\ntwo < &amp;\nthree &amp;",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(clean("a photo of a cat, 8k"), Cow::Borrowed(_)));
    }
}
