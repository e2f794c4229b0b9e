//! Splitting a cleaned text into the words that byte pair encoding works on.

use std::sync::LazyLock;

use regex::Regex;

/// The marker tokens, then English contractions, then runs of letters, single digits, and runs of anything else visible.
static WORD: LazyLock<Regex> = LazyLock::new(|| {
    let pattern = r"(?i)<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+";
    Regex::new(pattern)
        .expect("a constant pattern, compiled by every test of this crate's tokenizer")
});

/// The words of `text`, in order; white space is dropped.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    WORD.find_iter(text).map(|word| word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_stand_alone_and_punctuation_runs_together() {
        let found: Vec<_> = words("it's 8k, (a_b):1.2").collect();
        assert_eq!(
            found,
            [
                "it", "'s", "8", "k", ",", "(", "a", "_", "b", "):", "1", ".", "2"
            ]
        );
    }
}
