//! Brackets, weights and breaks.

use std::sync::LazyLock;

use regex::Regex;

/// How much a pair of round brackets raises, and a pair of square ones lowers.
const STEP: f64 = 1.1;

static BREAK: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\s*\bBREAK\b\s*").expect("a constant pattern, compiled by every test of prompts")
});

static WEIGHT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^:\s*([+-]?[.0-9]+)\s*\)")
        .expect("a constant pattern, compiled by every test of prompts")
});

/// A stretch of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub enum Segment {
    /// Words, and what the states of their tokens are multiplied by.
    Text {
        /// The words, with white space as written.
        text: String,
        /// 1 for plain text.
        weight: f64,
    },
    /// What follows begins a new chunk.
    Break,
}

/// Cuts a prompt at its brackets and breaks; neighbours of equal weight are one segment, and there is always one.
pub fn parse_emphasis(prompt: &str) -> Vec<Segment> {
    let mut reader = Reader::default();
    let mut rest = prompt;
    while !rest.is_empty() {
        rest = reader.read(rest);
    }
    reader.finish()
}

/// The segments so far, and at which of them each open bracket stands.
#[derive(Default)]
struct Reader {
    segments: Vec<Segment>,
    round: Vec<usize>,
    square: Vec<usize>,
}

impl Reader {
    /// Takes the next mark or run of text off `rest`, which is not empty.
    fn read<'a>(&mut self, rest: &'a str) -> &'a str {
        match rest.as_bytes()[0] {
            b'\\' => return self.escape(&rest[1..]),
            b'(' => self.round.push(self.segments.len()),
            b'[' => self.square.push(self.segments.len()),
            b')' => match self.round.pop() {
                Some(start) => self.multiply(start, STEP),
                None => self.text(")"),
            },
            b']' => match self.square.pop() {
                Some(start) => self.multiply(start, 1.0 / STEP),
                None => self.text("]"),
            },
            b':' => return self.colon(rest),
            _ => {
                let end = rest.find(['\\', '(', ')', '[', ']', ':']);
                let (run, rest) = rest.split_at(end.unwrap_or(rest.len()));
                self.run(run);
                return rest;
            }
        }
        &rest[1..]
    }

    /// What follows a backslash.
    fn escape<'a>(&mut self, rest: &'a str) -> &'a str {
        let escaped = usize::from(rest.starts_with(['(', ')', '[', ']', '\\']));
        self.text(&rest[..escaped]);
        &rest[escaped..]
    }

    /// `:1.2)` closes a round bracket; any other colon is text.
    fn colon<'a>(&mut self, rest: &'a str) -> &'a str {
        let number = WEIGHT.captures(rest).and_then(|found| {
            let weight: f64 = found[1].parse().ok()?;
            Some((weight, found[0].len()))
        });
        let Some((weight, length)) = number else {
            self.text(":");
            return &rest[1..];
        };
        match self.round.pop() {
            Some(start) => self.multiply(start, weight),
            None => self.text(&rest[..length]),
        }
        &rest[length..]
    }

    /// Text that may hold breaks.
    fn run(&mut self, run: &str) {
        for (index, part) in BREAK.split(run).enumerate() {
            if index > 0 {
                self.segments.push(Segment::Break);
            }
            self.text(part);
        }
    }

    fn text(&mut self, text: &str) {
        self.segments.push(Segment::Text {
            text: text.to_owned(),
            weight: 1.0,
        });
    }

    fn multiply(&mut self, start: usize, factor: f64) {
        for segment in &mut self.segments[start..] {
            if let Segment::Text { weight, .. } = segment {
                *weight *= factor;
            }
        }
    }

    /// Closes what is open and joins neighbours.
    fn finish(mut self) -> Vec<Segment> {
        for start in std::mem::take(&mut self.round) {
            self.multiply(start, STEP);
        }
        for start in std::mem::take(&mut self.square) {
            self.multiply(start, 1.0 / STEP);
        }
        if self.segments.is_empty() {
            self.text("");
        }
        let mut joined = Vec::with_capacity(self.segments.len());
        for segment in self.segments {
            if let Some(segment) = join(&mut joined, segment) {
                joined.push(segment);
            }
        }
        joined
    }
}

/// Appends text to the last segment if that weighs the same; gives back what it could not.
fn join(joined: &mut [Segment], segment: Segment) -> Option<Segment> {
    let Segment::Text { text: more, weight } = segment else {
        return Some(segment);
    };
    match joined.last_mut() {
        Some(Segment::Text { text, weight: last }) if last.to_bits() == weight.to_bits() => {
            text.push_str(&more);
            None
        }
        _ => Some(Segment::Text { text: more, weight }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str, weight: f64) -> Segment {
        Segment::Text {
            text: text.to_owned(),
            weight,
        }
    }

    #[test]
    fn breaks_swallow_the_white_space_around_them() {
        assert_eq!(
            parse_emphasis("a cat BREAK\n a dog"),
            [text("a cat", 1.0), Segment::Break, text("a dog", 1.0)]
        );
        assert_eq!(parse_emphasis("BREAKFAST"), [text("BREAKFAST", 1.0)]);
    }

    #[test]
    fn a_break_within_brackets_is_a_break() {
        assert_eq!(
            parse_emphasis("(a BREAK b)"),
            [text("a", 1.1), Segment::Break, text("b", 1.1)]
        );
    }

    #[test]
    fn what_is_no_number_is_text() {
        assert_eq!(parse_emphasis("(a:1.2.3)"), [text("a:1.2.3", 1.1)]);
        assert_eq!(parse_emphasis("a:1.2)"), [text("a:1.2)", 1.0)]);
    }

    #[test]
    fn white_space_around_the_number_is_allowed() {
        assert_eq!(parse_emphasis("(a: 1.2 )"), [text("a", 1.2)]);
    }
}
