//! A command line in a text field, as `--max_grad_norm=0 --optimizer_args "d_coef=1" "decouple=True"`.

use toml::Value;

/// The options of a command line with their values: a flag is `true`, several words are a list.
pub(super) fn arguments(text: &str) -> Vec<(String, Value)> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for word in words(text) {
        match (word.strip_prefix("--"), found.last_mut()) {
            (Some(option), _) => match option.split_once('=') {
                Some((option, value)) => found.push((option.to_owned(), vec![value.to_owned()])),
                None => found.push((option.to_owned(), Vec::new())),
            },
            (None, Some((_, values))) => values.push(word),
            (None, None) => found.push((word, Vec::new())),
        }
    }
    let value = |mut values: Vec<String>| match values.len() {
        0 => Value::Boolean(true),
        1 => Value::String(values.remove(0)),
        _ => Value::Array(values.into_iter().map(Value::String).collect()),
    };
    found
        .into_iter()
        .map(|(option, values)| (option, value(values)))
        .collect()
}

/// Words between spaces; quotes keep spaces together and are left out.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for letter in text.chars() {
        match (quote, letter) {
            (Some(open), letter) if letter == open => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, letter) if letter.is_whitespace() => words.push(std::mem::take(&mut word)),
            (_, letter) => word.push(letter),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_values_and_lists_are_told_apart() {
        let found = arguments(
            "--no_metadata --max_grad_norm=0 --optimizer_args \"d_coef=1\" \"betas=0.9, 0.99\" --seed 7",
        );
        let texts =
            |values: &[&str]| Value::Array(values.iter().map(|text| (*text).into()).collect());
        assert_eq!(
            found,
            [
                ("no_metadata".to_owned(), true.into()),
                ("max_grad_norm".to_owned(), "0".into()),
                (
                    "optimizer_args".to_owned(),
                    texts(&["d_coef=1", "betas=0.9, 0.99"])
                ),
                ("seed".to_owned(), "7".into()),
            ]
        );
        assert!(arguments("  ").is_empty());
    }
}
