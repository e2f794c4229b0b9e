use lora_core::{tokenizer::Tokenizer, weights::CheckpointError};

use super::{Finding, Severity, lint, settle};
use crate::{OpenedPictures, TrainError, config::TrainConfig, plan::problems};

/// Everything about the files of a config's dataset: what the rules find, or what keeps it from being opened.
///
/// The base model is not looked at, other than for its tokenizer.
///
/// # Errors
/// A tokenizer that cannot be read.
pub fn lint_files(config: &TrainConfig) -> Result<Vec<Finding>, TrainError> {
    let error = |message: String| Finding::new(Severity::Error, "dataset", message);
    let mut findings: Vec<Finding> = problems(config).into_iter().map(error).collect();
    match OpenedPictures::training(config) {
        Ok(data) => {
            findings.extend(lint(config, &data, &tokenizer(config)?));
            let notes = data.notes().iter();
            let notes = notes.map(|note| Finding::new(Severity::Info, "note", note));
            let mut notes: Vec<Finding> = notes.collect();
            settle(&mut notes, config);
            findings.extend(notes);
        }
        Err(unopened) => {
            let problems = unopened.problems.iter();
            findings.extend(problems.map(|problem| error(problem.to_string())));
        }
    }
    // By severity only: what the rules found is in order already, and notes come as they were made.
    findings.sort_by_key(|finding| finding.severity);
    Ok(findings)
}

/// The model's tokenizer where it has one of its own, else CLIP's.
pub(crate) fn tokenizer(config: &TrainConfig) -> Result<Tokenizer, TrainError> {
    match config.model.path.join("tokenizer") {
        folder if folder.join("vocab.json").is_file() => {
            Ok(Tokenizer::from_folder(folder).map_err(CheckpointError::from)?)
        }
        _ => Ok(Tokenizer::clip()),
    }
}
