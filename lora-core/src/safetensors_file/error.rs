use std::{io, path::PathBuf};

use super::{LayoutProblem, MAX_HEADER_BYTES};

/// Why a file could not be opened as safetensors.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsFileError {
    /// The file cannot be opened or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file asked for.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A tensor that is asked for does not exist.
    #[error("{}: has no tensor {key}", path.display())]
    NoTensor {
        /// The file asked.
        path: PathBuf,
        /// The name asked for.
        key: String,
    },
    /// A tensor's bytes cannot be read: the file was shortened since it was opened, or its disk fails.
    #[error("{}: {key} cannot be read: {source}", path.display())]
    Tensor {
        /// The file.
        path: PathBuf,
        /// The tensor's name.
        key: String,
        /// What the operating system answered.
        source: io::Error,
    },
    /// The path names a folder, a device or a pipe.
    #[error("{}: not a regular file", path.display())]
    NotAFile {
        /// The path asked for.
        path: PathBuf,
    },
    /// The file is too short for even the header length.
    #[error("{}: not a safetensors file, it has only {len} bytes", path.display())]
    TooShort {
        /// The file asked for.
        path: PathBuf,
        /// Its length in bytes.
        len: u64,
    },
    /// The declared header length is beyond what the format allows: some other kind of file.
    #[error("{}: not a safetensors file, its first 8 bytes declare a header of {declared} bytes (limit {MAX_HEADER_BYTES})", path.display())]
    HeaderTooLong {
        /// The file asked for.
        path: PathBuf,
        /// Declared header length in bytes.
        declared: u64,
    },
    /// The file ends within its header.
    #[error("{}: truncated, the header needs {declared} bytes but the file has {len}", path.display())]
    HeaderTruncated {
        /// The file asked for.
        path: PathBuf,
        /// Declared header length in bytes.
        declared: u64,
        /// The file's length in bytes.
        len: u64,
    },
    /// The bytes after the header are not as many as its tensors need.
    #[error("{}: truncated or overlong, its tensors need {declared} bytes after the header but there are {found}", path.display())]
    WrongLength {
        /// The file asked for.
        path: PathBuf,
        /// Bytes that the header's tensors need.
        declared: u64,
        /// Bytes that follow the header.
        found: u64,
    },
    /// The header is no JSON of the prescribed form.
    #[error("{}: bad safetensors header: {source}", path.display())]
    Header {
        /// The file asked for.
        path: PathBuf,
        /// What is wrong with it; names the tensor where one is to blame.
        source: serde_json::Error,
    },
    /// The header's offsets, shapes and types contradict one another.
    #[error("{}: bad safetensors header: {problem}", path.display())]
    Layout {
        /// The file asked for.
        path: PathBuf,
        /// The tensor to blame, and why.
        problem: LayoutProblem,
    },
}
