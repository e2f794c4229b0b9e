use std::{io, path::PathBuf};

use thiserror::Error;

use super::{OtherModel, TensorProblem};
use crate::{
    Family, Precision, safetensors_file::SafetensorsFileError, tokenizer::TokenizerFolderError,
};

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
    /// A file in PyTorch's own format.
    #[error("{0}: PyTorch's format can hide programs, so it is not opened; if you trust the file, convert it once with\n  \
             python -c \"import sys, torch, safetensors.torch as s; \
             d = torch.load(sys.argv[1], map_location='cpu', weights_only=True); d = d.get('state_dict', d); \
             s.save_file({{k: v.contiguous().clone() for k, v in d.items() if torch.is_tensor(v)}}, sys.argv[2])\" \
             \"{0}\" \"{1}\"", .path.display(), .converted.display())]
    PyTorch {
        /// The file.
        path: PathBuf,
        /// Where its converted copy is to be.
        converted: PathBuf,
    },
    /// A model that cannot be a base here.
    #[error("{}: {found}", .path.display())]
    OtherModel {
        /// The file or folder.
        path: PathBuf,
        /// What it is.
        found: OtherModel,
    },
    /// A number format that the device has not.
    #[error("{}: the device does not compute in {precision}; use {} (model.precision in a run file, --precision on the command line)",
            .path.display(), listed(.others))]
    NoSuchNumbers {
        /// The file or folder.
        path: PathBuf,
        /// What was asked for.
        precision: Precision,
        /// What the device has.
        others: Vec<Precision>,
    },
    /// A single file that has not the widths of the published model.
    #[error("{}: {family}, but not of the published widths, so its tensors do not show the whole configuration; \
             name a diffusers folder with the config.json files as the model's config (model.config in a run file, \
             --config on the command line)", .path.display())]
    ConfigNeeded {
        /// The file.
        path: PathBuf,
        /// The family that its keys show.
        family: Family,
    },
    /// A single file whose VAE has not the widths of the published one.
    #[error("{}: a VAE, but not of the published widths; name its diffusers folder, which has a config.json, instead",
            .path.display())]
    VaeConfigNeeded {
        /// The file.
        path: PathBuf,
    },
    /// A config folder that belongs to another family than the file.
    #[error("{}: is {family}, but the config {} is of {found}", .path.display(), .config.display())]
    ConfigOfOtherFamily {
        /// The file.
        path: PathBuf,
        /// Its family.
        family: Family,
        /// The folder of configs.
        config: PathBuf,
        /// The family of the config.
        found: Family,
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
    #[error("{}: {field} = {value} is not supported", .path.display())]
    Unsupported {
        /// The config.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
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

fn listed(formats: &[Precision]) -> String {
    let names: Vec<&str> = formats.iter().map(|format| format.name()).collect();
    names.join(" or ")
}
