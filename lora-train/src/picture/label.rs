//! Fitting text into a given width: eliding and wrapping.

use super::typeface::Typeface;

const ELLIPSIS: char = '…';
/// The parts of file names end with one of these (each one byte long).
const SEPARATORS: [char; 4] = ['-', '_', '.', ','];

/// `text`, or its beginning and its end around an ellipsis where it is wider than `width` pixels. The ends of file
/// names tell them apart, so the middle goes.
pub(super) fn elide_middle(face: Typeface, text: &str, width: f32) -> String {
    elide(face, text, width, |characters, kept| {
        let head = kept / 2;
        let tail = characters.len() - (kept - head);
        characters[..head]
            .iter()
            .chain([&ELLIPSIS])
            .chain(&characters[tail..])
            .collect()
    })
}

/// `text` on at most `lines` lines of `width` pixels, broken at spaces. A word that is wider than a line is broken after
/// a hyphen, underscore or the like, or else anywhere. What does not fit is elided at its end.
pub(super) fn wrap(face: Typeface, text: &str, width: f32, lines: usize) -> Vec<String> {
    let mut wrapped: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let joined = if line.is_empty() {
            word.to_owned()
        } else {
            format!("{line} {word}")
        };
        if face.width(&joined) <= width {
            line = joined;
            continue;
        }
        if !line.is_empty() {
            wrapped.push(std::mem::take(&mut line));
        }
        line = break_word(face, word, width, &mut wrapped);
    }
    if !line.is_empty() {
        wrapped.push(line);
    }
    if wrapped.len() > lines {
        let rest = wrapped.split_off(lines.saturating_sub(1)).join(" ");
        wrapped.push(elide_end(face, &rest, width));
    }
    wrapped.truncate(lines);
    wrapped
}

/// Pushes the full lines of a word onto `wrapped` and returns what is left of it, which fits.
fn break_word(face: Typeface, word: &str, width: f32, wrapped: &mut Vec<String>) -> String {
    let mut line = String::new();
    for character in word.chars() {
        line.push(character);
        if face.width(&line) > width && line.chars().count() > 1 {
            let before = line.len() - character.len_utf8();
            let rest = line.split_off(line[..before].rfind(SEPARATORS).map_or(before, |at| at + 1));
            wrapped.push(std::mem::replace(&mut line, rest));
        }
    }
    line
}

/// `text`, or its beginning and an ellipsis where it is wider than `width` pixels.
pub(super) fn elide_end(face: Typeface, text: &str, width: f32) -> String {
    elide(face, text, width, |characters, kept| {
        characters[..kept].iter().chain([&ELLIPSIS]).collect()
    })
}

/// The longest `shorten(characters, kept)` that fits, by bisection over the number of characters kept.
fn elide(
    face: Typeface,
    text: &str,
    width: f32,
    shorten: impl Fn(&[char], usize) -> String,
) -> String {
    if face.width(text) <= width {
        return text.to_owned();
    }
    let characters: Vec<char> = text.chars().collect();
    let (mut fits, mut too_long) = (0, characters.len());
    while too_long - fits > 1 {
        let kept = usize::midpoint(fits, too_long);
        if face.width(&shorten(&characters, kept)) <= width {
            fits = kept;
        } else {
            too_long = kept;
        }
    }
    shorten(&characters, fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face() -> Typeface {
        Typeface::regular(16.0)
    }

    #[test]
    fn what_fits_is_left_alone() {
        assert_eq!(elide_middle(face(), "cat-000001", 200.0), "cat-000001");
        assert_eq!(
            wrap(face(), "a photo of a cat", 400.0, 2),
            ["a photo of a cat"]
        );
    }

    #[test]
    fn eliding_keeps_both_ends_and_fills_the_width() {
        let elided = elide_middle(face(), "a_very_long_style_name-000007", 120.0);
        assert!(
            elided.starts_with("a_v") && elided.ends_with("007") && elided.contains('…'),
            "{elided}"
        );
        let width = face().width(&elided);
        assert!((100.0..=120.0).contains(&width), "{elided} is {width} wide");
    }

    #[test]
    fn wrapping_keeps_every_word_while_there_are_lines() {
        let text = "a photo of a cat on a mat beside a window";
        let lines = wrap(face(), text, 120.0, 9);
        assert_eq!(lines.join(" "), text);
        assert!(
            lines.len() > 1 && lines.iter().all(|line| face().width(line) <= 120.0),
            "{lines:?}"
        );
    }

    #[test]
    fn names_break_between_their_parts() {
        assert_eq!(
            wrap(face(), "quickstart-000001", 100.0, 2),
            ["quickstart-", "000001"]
        );
        assert_eq!(
            wrap(face(), "pastel_sticker_style", 70.0, 3),
            ["pastel_", "sticker_", "style"]
        );
    }

    #[test]
    fn what_does_not_fit_ends_in_an_ellipsis() {
        let lines = wrap(face(), &"word ".repeat(100), 120.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(
            lines[1].ends_with('…') && face().width(&lines[1]) <= 120.0,
            "{lines:?}"
        );
    }

    #[test]
    fn text_without_spaces_breaks_anywhere() {
        let text = "一只猫坐在窗边".repeat(6);
        let lines = wrap(face(), &text, 100.0, 99);
        assert_eq!(lines.concat(), text);
        assert!(lines.len() > 1);
    }

    #[test]
    fn no_room_is_no_panic() {
        assert_eq!(elide_middle(face(), "abc", 0.0), "…");
        assert_eq!(wrap(face(), "abc", 0.0, 2).len(), 2);
        assert!(wrap(face(), "abc", 10.0, 0).is_empty());
        assert!(wrap(face(), "  ", 10.0, 2).is_empty());
    }
}
