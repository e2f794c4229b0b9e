use std::{io, path::PathBuf};

/// An ONNX model that cannot be used. `path` is the model's file, or the name of a model that the program carries.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OnnxError {
    /// The file could not be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Read {
        /// The model's file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file is larger than the format allows.
    #[error("{}: has {bytes} bytes; an ONNX file has at most {limit}", path.display())]
    TooLarge {
        /// The model's file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The largest size that is read.
        limit: u64,
    },
    /// The bytes are no ONNX model.
    #[error("{}: is not an ONNX model: {reason}", path.display())]
    NotOnnx {
        /// The model's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The weights lie in other files.
    #[error(
        "{}: keeps the weights of \"{tensor}\" in another file; save the model as one file (onnx.save without external data)",
        path.display()
    )]
    ExternalData {
        /// The model's file.
        path: PathBuf,
        /// The first tensor that is not in it.
        tensor: String,
    },
    /// The model uses operators that are not implemented.
    #[error("{}: needs operators that are not supported: {}", path.display(), operators.join(", "))]
    Operators {
        /// The model's file.
        path: PathBuf,
        /// Their names, sorted.
        operators: Vec<String>,
    },
    /// The model does not take exactly one tensor.
    #[error(
        "{}: has {} inputs ({}); expected one, a picture",
        path.display(),
        inputs.len(),
        inputs.join(", ")
    )]
    Inputs {
        /// The model's file.
        path: PathBuf,
        /// The names of its inputs.
        inputs: Vec<String>,
    },
    /// The input's numbers are not f32.
    #[error(
        "{}: its input \"{input}\" takes {found}, not float32; export the model with float32 inputs",
        path.display()
    )]
    InputType {
        /// The model's file.
        path: PathBuf,
        /// The input's name.
        input: String,
        /// The type it takes, as ONNX writes it.
        found: String,
    },
    /// The model cannot be run on an input of this shape.
    #[error("{}: cannot be run on an input of shape {shape:?}: {reason}", path.display())]
    Shape {
        /// The model's file.
        path: PathBuf,
        /// The shape asked for.
        shape: Vec<usize>,
        /// Why not.
        reason: String,
    },
    /// The numbers handed over are not as many as the shape holds.
    #[error("{}: was given {found} numbers for an input of shape {shape:?}", path.display())]
    Count {
        /// The model's file.
        path: PathBuf,
        /// The input's shape.
        shape: Vec<usize>,
        /// How many numbers came.
        found: usize,
    },
    /// The model's arithmetic failed.
    #[error("{}: could not be run: {reason}", path.display())]
    Run {
        /// The model's file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
}
