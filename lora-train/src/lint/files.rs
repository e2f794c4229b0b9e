use lora_core::{tokenizer::Tokenizer, weights::CheckpointError};
use lora_data::ImageFolders;

use super::{Finding, Severity, lint};
use crate::{TrainError, config::TrainConfig};

/// Everything about the files of a config's dataset: what the rules find, or what keeps it from being opened.
///
/// The base model is not looked at, other than for its tokenizer.
///
/// # Errors
/// A tokenizer that cannot be read.
pub fn lint_files(config: &TrainConfig) -> Result<Vec<Finding>, TrainError> {
    let data = match ImageFolders::open(&config.dataset) {
        Ok(data) => data,
        Err(error) => {
            let problems = error.problems.iter();
            return Ok(problems
                .map(|problem| Finding::new(Severity::Error, "dataset", problem.to_string()))
                .collect());
        }
    };
    Ok(lint(config, &data, &tokenizer(config)?))
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
