//! Wildcards in captions, as kohya's `process_caption` reads them: `{a|b}` is one of its words, `{{` and `}}` are braces.

use std::ops::Range;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use crate::{
    Showing,
    random_stream::{Purpose, random_stream},
};

/// One of the lines of a caption.
pub(crate) fn choose_line<'a>(caption: &'a str, at: &Showing) -> &'a str {
    let lines: Vec<&str> = caption.lines().collect();
    match lines.len() {
        0 | 1 => lines.first().copied().unwrap_or_default(),
        count => lines[stream(at).random_range(0..count)],
    }
}

/// The words with each `{a|b}` replaced by one of its alternatives. Braces that are never closed, or hold nothing, stay.
pub(crate) fn resolve(words: &str, at: &Showing) -> String {
    let mut random = stream(at);
    // The first number is the line's.
    let _: u64 = random.random();
    replaced(words, |count| random.random_range(0..count))
}

/// Everything that [`resolve`] can give, up to [`MOST`] of them; beyond, some in which every alternative comes.
pub(crate) fn every(words: &str) -> Vec<String> {
    let mut counts = Vec::new();
    replaced(words, |count| {
        counts.push(count);
        0
    });
    let all = counts
        .iter()
        .try_fold(1_usize, |all, count| all.checked_mul(*count))
        .filter(|all| *all <= MOST);
    let Some(all) = all else {
        let most = counts.into_iter().max().unwrap_or(1);
        return (0..most)
            .map(|number| replaced(words, |count| number % count))
            .collect();
    };
    (0..all)
        .map(|number| {
            let mut rest = number;
            replaced(words, |count| {
                let index = rest % count;
                rest /= count;
                index
            })
        })
        .collect()
}

/// So many combinations are looked at in full.
const MOST: usize = 256;

/// The words with each `{a|b}` replaced by the alternative that `pick` names, given their number.
fn replaced(words: &str, mut pick: impl FnMut(usize) -> usize) -> String {
    let escaped = words.replace("{{", OPENING).replace("}}", CLOSING);
    let mut resolved = String::with_capacity(words.len());
    let mut rest = escaped.as_str();
    while let Some(at_brace) = rest.find('{') {
        let (before, from) = rest.split_at(at_brace);
        resolved.push_str(before);
        rest = if let Some((choice, after)) = choice(from) {
            let alternatives: Vec<&str> = choice.split('|').collect();
            resolved.push_str(alternatives[pick(alternatives.len())]);
            after
        } else {
            resolved.push('{');
            &from[1..]
        };
    }
    (resolved + rest)
        .replace(OPENING, "{")
        .replace(CLOSING, "}")
}

/// Stand for braces that are meant, while choices are made; no caption has these characters.
const OPENING: &str = "\u{1}";
const CLOSING: &str = "\u{2}";

/// Where in the words a choice such as `{a|b}` stands, from its brace to the closing one.
pub(crate) fn choices(words: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(ahead) = words[at..].find(['{', '}']) {
        at += ahead;
        let rest = &words[at..];
        at += if rest.starts_with("{{") || rest.starts_with("}}") {
            2
        } else if let Some(length) = choice_length(rest) {
            found.push(at..at + length);
            length
        } else {
            1
        };
    }
    found
}

/// The length of the choice with which the words begin.
fn choice_length(words: &str) -> Option<usize> {
    let mut at = words.starts_with('{').then_some(1)?;
    loop {
        at += words[at..].find(['{', '}'])?;
        let rest = &words[at..];
        at += match rest {
            _ if rest.starts_with("{{") || rest.starts_with("}}") => 2,
            _ if rest.starts_with('{') => 1,
            _ => return (at > 1).then_some(at + 1),
        };
    }
}

/// Whether something is left to choice.
pub(crate) fn has_choice(words: &str) -> bool {
    words.lines().count() > 1 || words.contains('{') || words.contains("}}")
}

/// What stands between a brace at the front and the next closing one, and what follows.
fn choice(from: &str) -> Option<(&str, &str)> {
    let (inside, after) = from.strip_prefix('{')?.split_once('}')?;
    (!inside.is_empty()).then_some((inside, after))
}

fn stream(at: &Showing) -> ChaCha8Rng {
    random_stream(Purpose::CaptionWildcard, at.seed, at.epoch, at.ordinal)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn counts(draw: impl Fn(&Showing) -> String) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for ordinal in 0..3000 {
            let at = Showing {
                ordinal,
                ..Showing::default()
            };
            *counts.entry(draw(&at)).or_default() += 1;
        }
        counts
    }

    #[test]
    fn each_alternative_and_each_line_comes_equally_often() {
        // Binomial(3000, 1/3): the mean is 1000, four standard deviations are 103.
        let alternatives = counts(|at| resolve("a {red|green|dark blue} hat", at));
        let names: Vec<&str> = alternatives.keys().map(String::as_str).collect();
        assert_eq!(names, ["a dark blue hat", "a green hat", "a red hat"]);
        assert!(
            alternatives
                .values()
                .all(|count| (897..=1103).contains(count)),
            "{alternatives:?}"
        );
        let lines = counts(|at| choose_line("one\ntwo\nthree", at).to_owned());
        assert_eq!(lines.len(), 3);
        assert!(
            lines.values().all(|count| (897..=1103).contains(count)),
            "{lines:?}"
        );
    }

    #[test]
    fn every_choice_is_known() {
        assert_eq!(
            every("{red|blue} {hat|cap}"),
            ["red hat", "blue hat", "red cap", "blue cap"]
        );
        assert_eq!(every("{{none}}"), ["{none}"]);
        // 10 choices of 4 are too many to combine; each alternative comes all the same.
        let many = every(&"{a|b|c|d} ".repeat(10));
        assert_eq!(many.len(), 4);
        assert!(
            "abcd"
                .chars()
                .all(|one| many.iter().any(|words| words.contains(one)))
        );
    }

    #[test]
    fn choices_are_where_they_are_drawn() {
        for (words, expected) in [
            ("a {b, c|d}, e", &["{b, c|d}"][..]),
            ("{a}{b}", &["{a}", "{b}"]),
            ("{{a, b}}", &[]),
            ("{{{a, b}}}", &["{a, b}}}"]),
            ("{}, {a", &[]),
            ("{a {b} c}", &["{a {b}"]),
            ("}{狐,犬}", &["{狐,犬}"]),
        ] {
            let found: Vec<&str> = choices(words).into_iter().map(|at| &words[at]).collect();
            assert_eq!(found, expected, "{words}");
        }
    }

    #[test]
    fn braces_can_be_meant_and_are_never_lost() {
        let at = Showing::default();
        for (words, resolved) in [
            ("{{a}}", "{a}"),
            ("{a}", "a"),
            ("{a", "{a"),
            ("{{{a}}}", "{a}"),
            ("{x{{y}", "x{y"),
            ("{a}}b}", "a}b"),
            ("a}", "a}"),
            ("{}", "{}"),
            ("no braces 中文", "no braces 中文"),
        ] {
            assert_eq!(resolve(words, &at), resolved, "{words}");
        }
    }
}
