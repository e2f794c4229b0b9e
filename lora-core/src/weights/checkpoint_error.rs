use std::{io, path::PathBuf};

use thiserror::Error;

use super::TensorProblem;
use crate::{safetensors_file::SafetensorsFileError, tokenizer::TokenizerFolderError};

/// Why a base model cannot be read.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// There is neither a file nor a folder.
    #[error("{}: no such file or folder", .path.display())]
    NotFound {
        /// The path given.
        path: PathBuf,
    },
    /// A folder without the parts of a model.
    #[error("{}: not a diffusers model folder: it has no {missing}", .path.display())]
    NotAModel {
        /// The folder.
        path: PathBuf,
        /// What it lacks.
        missing: String,
    },
    /// A file that is no safetensors checkpoint.
    #[error("{}: only .safetensors checkpoints are read; convert it first, for example with diffusers' \
             scripts/convert_original_stable_diffusion_to_diffusers.py --to_safetensors", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// A single file whose architecture is not SD1.5's.
    #[error("{}: its tensors do not show the whole configuration and it is not SD1.5's; name a diffusers folder \
             with the config.json files as the model's config (model.config in a run file, --config on the command \
             line)", .path.display())]
    ConfigNeeded {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be opened or read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A config or index that cannot be parsed.
    #[error("{}: {source}", .path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A config that asks for something this program cannot do.
    #[error("{}: {field} = {value} is not supported{hint}", .path.display())]
    Unsupported {
        /// The config.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
        /// What can be used, or empty.
        hint: &'static str,
    },
    /// A weight file with a broken header.
    #[error(transparent)]
    File(#[from] SafetensorsFileError),
    /// A tokenizer folder that cannot be read.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerFolderError),
    /// Tensors that are missing, unexpected or misshapen: all of them.
    #[error("{}: {} tensors do not fit the model:\n  {}", .path.display(), .problems.len(),
            .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
    Tensors {
        /// The checkpoint.
        path: PathBuf,
        /// Every problem, over all networks.
        problems: Vec<TensorProblem>,
    },
}
