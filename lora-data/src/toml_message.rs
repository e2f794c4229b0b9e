/// The parser's message; an unknown key gets the nearest expected one named.
pub fn with_suggestion(error: &toml::de::Error) -> String {
    let message = error.to_string();
    let quoted = |text: &str| -> Vec<String> {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let nearest = error
        .message()
        .strip_prefix("unknown field ")
        .or_else(|| error.message().strip_prefix("unknown variant "))
        .map(quoted)
        .and_then(|names| {
            let (unknown, known) = names.split_first()?;
            let distance = |name: &&String| strsim::damerau_levenshtein(unknown, name);
            known
                .iter()
                .min_by_key(distance)
                .filter(|name| distance(name) <= 1 + unknown.len() / 3)
                .cloned()
        });
    match nearest {
        Some(name) => format!("{}\nDid you mean `{name}`?", message.trim_end()),
        None => message.trim_end().to_owned(),
    }
}
