use std::{fs, path::Path};

use toml::Value;

use super::{importer::Importer, options::Given, values};
use crate::{Prompt, config::PreviewConfig};

/// kohya's samplers that are here.
const SAMPLERS: [(&str, &str); 6] = [
    ("ddim", "ddim"),
    ("euler", "euler"),
    ("k_euler", "euler"),
    ("euler_a", "euler-a"),
    ("k_euler_a", "euler-a"),
    ("dpmsolver++", "dpmpp-2m"),
];

/// What is drawn on the way, and when.
pub(super) fn read(importer: &mut Importer) {
    let has_prompts = prompts(importer);
    let steps = importer.take_on("sample_every_n_steps");
    let epochs = importer.take_on("sample_every_n_epochs");
    let is_drawn = steps.is_some() || epochs.is_some();
    if let Some(given) = steps {
        match values::whole(&given.value) {
            Some(every) => importer.map(&given, [("preview.every", every.into())]),
            None => importer.not_a(&given, "a whole number"),
        }
    }
    if let Some(given) = epochs {
        match values::whole(&given.value) {
            // As there, they go before steps.
            Some(every) => {
                let settings = [
                    ("preview.every_epochs", every.into()),
                    ("preview.every", 0.into()),
                ];
                importer.map(&given, settings);
            }
            None => importer.not_a(&given, "a whole number"),
        }
    }
    if has_prompts && !is_drawn {
        importer.default_of_kohya("sample_every_n_steps", [("preview.every", 0.into())]);
    }
    let Some(given) = importer.take_on("sample_sampler") else {
        return;
    };
    let name = values::text(&given.value);
    match SAMPLERS.iter().find(|(theirs, _)| *theirs == name) {
        _ if !has_prompts => importer.not_needed(&given, "nothing is drawn without prompts"),
        Some((_, ours)) => importer.map(&given, [("preview.sampler", (*ours).into())]),
        None => importer.replace(
            &given,
            &format!("there is no {name}"),
            [("preview.sampler", "ddim".into())],
        ),
    }
}

/// Sets the prompts; whether there are any.
fn prompts(importer: &mut Importer) -> bool {
    let Some(given) = importer.take_on("sample_prompts") else {
        return false;
    };
    let text = values::text(&given.value);
    let path = Path::new(&text);
    let is_file = path
        .extension()
        .is_some_and(|ending| ["txt", "toml", "json"].iter().any(|known| ending == *known));
    if !is_file && !path.exists() {
        return lines(importer, &given, &text);
    }
    if path.extension().is_none_or(|ending| ending != "txt") {
        importer.not_supported(&given, "write its prompts as lines into preview.prompts");
        return false;
    }
    match fs::read_to_string(path) {
        Ok(text) => lines(importer, &given, &text),
        Err(error) => {
            importer.not_supported(
                &given,
                &format!("it cannot be read ({error}); write its lines into preview.prompts"),
            );
            false
        }
    }
}

fn lines(importer: &mut Importer, given: &Given, text: &str) -> bool {
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let understood = |line: &str| {
        Prompt::parse(line, &PreviewConfig::default()).and_then(|prompt| prompt.positive())
    };
    let mut prompts: Vec<Value> = Vec::new();
    for line in lines {
        match understood(line) {
            Ok(_) => prompts.push(line.into()),
            Err(error) => importer
                .notes
                .push(format!("a prompt was left out: {error}")),
        }
    }
    if prompts.is_empty() {
        importer.not_supported(given, "it has no prompt that can be drawn");
        return false;
    }
    importer.map(given, [("preview.prompts", Value::Array(prompts))]);
    true
}
