//! What A1111's prompts can do over the steps of a walk, and these cannot.

use std::sync::LazyLock;

use regex::Regex;

use super::PromptSyntaxError;

static COMPOSITION: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\bAND\b").expect("a constant pattern, compiled by every test of prompts")
});

/// Finds prompt editing, alternation and composition.
///
/// # Errors
/// The first of them.
pub(super) fn refuse_schedules(prompt: &str) -> Result<(), PromptSyntaxError> {
    if COMPOSITION.is_match(prompt) {
        return Err(PromptSyntaxError::Composition);
    }
    let mut open: Vec<Bracket> = Vec::new();
    let mut escaped = false;
    for (place, mark) in prompt.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match mark {
            '\\' => escaped = true,
            '(' | '[' => open.push(Bracket::new(mark, place)),
            ')' if open.last().is_some_and(|bracket| bracket.mark == '(') => {
                open.pop();
            }
            ']' if open.last().is_some_and(|bracket| bracket.mark == '[') => {
                if let Some(bracket) = open.pop() {
                    bracket.check(prompt, place)?;
                }
            }
            ':' | '|' => {
                if let Some(bracket) = open.last_mut() {
                    bracket.note(mark, place);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// An open bracket, and what stood in it directly.
struct Bracket {
    mark: char,
    start: usize,
    last_colon: Option<usize>,
    bar: bool,
}

impl Bracket {
    fn new(mark: char, start: usize) -> Self {
        Self {
            mark,
            start,
            last_colon: None,
            bar: false,
        }
    }

    fn note(&mut self, mark: char, place: usize) {
        match mark {
            ':' => self.last_colon = Some(place),
            _ => self.bar = true,
        }
    }

    /// Looks at a square bracket that ends at `end`.
    fn check(&self, prompt: &str, end: usize) -> Result<(), PromptSyntaxError> {
        let part = || prompt[self.start..=end].to_owned();
        if self.bar {
            return Err(PromptSyntaxError::Alternation { part: part() });
        }
        let when = self.last_colon.map(|colon| prompt[colon + 1..end].trim());
        if when.is_some_and(|when| when.parse::<f64>().is_ok_and(f64::is_finite)) {
            return Err(PromptSyntaxError::Editing { part: part() });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editing_alternation_and_composition_are_refused_by_name() {
        for part in ["[a:b:0.5]", "[a:5]", "[a::.5]", "[(a:1.2):b: 10 ]"] {
            let error = refuse_schedules(&format!("x {part} y")).expect_err(part);
            assert_eq!(error, PromptSyntaxError::Editing { part: part.into() });
        }
        for part in ["[a|b]", "[a|(b:1.2)|]"] {
            let error = refuse_schedules(&format!("([x]{part}")).expect_err(part);
            assert_eq!(error, PromptSyntaxError::Alternation { part: part.into() });
        }
        let error = refuse_schedules("a cat AND a dog").expect_err("composition");
        assert_eq!(error, PromptSyntaxError::Composition);
    }

    #[test]
    fn what_only_looks_alike_is_allowed() {
        for prompt in [
            r"\[a:b:0.5\]",
            "[a]",
            "[a: b]",
            "[(a:1.2)]",
            "a | b",
            "(a|b)",
            "[a:1.2",
            "a:1]",
            "SAND and land",
            "[(a:b]:1)",
        ] {
            assert_eq!(refuse_schedules(prompt), Ok(()), "{prompt}");
        }
    }
}
