use std::{
    collections::BTreeMap,
    fmt, fs, io,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
};

use tract_onnx::prelude::{Framework, InferenceModel, TractResult};

use super::{OnnxError, OnnxRunner, proto_check::checked};

/// The largest file that is read: protobuf, ONNX's encoding, ends at 2 GiB.
const LARGEST_FILE: u64 = (1 << 31) - 1;

/// What a model takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnnxInput {
    /// The input's name.
    pub name: String,
    /// Its shape as the file declares it; `None` where that is left open, such as a batch of any size. Empty when the
    /// file says nothing.
    pub shape: Vec<Option<usize>>,
}

/// A model read from an ONNX file: one f32 input, any outputs. [`at_shape`](Self::at_shape) makes it run.
#[derive(Clone)]
pub struct OnnxModel {
    path: PathBuf,
    input: OnnxInput,
    outputs: Vec<String>,
    metadata: BTreeMap<String, String>,
    graph: InferenceModel,
}

impl OnnxModel {
    /// Reads a model's file.
    ///
    /// # Errors
    /// When the file cannot be read, is too large, is no ONNX model, keeps its weights elsewhere, needs operators that
    /// are not supported, or does not take exactly one f32 tensor.
    pub fn load(path: &Path) -> Result<Self, OnnxError> {
        let read = |cause| OnnxError::Read {
            path: path.into(),
            cause,
        };
        let metadata = fs::metadata(path).map_err(read)?;
        if !metadata.is_file() {
            return Err(read(io::Error::other("it is not a file")));
        }
        if metadata.len() > LARGEST_FILE {
            return Err(OnnxError::TooLarge {
                path: path.into(),
                bytes: metadata.len(),
                limit: LARGEST_FILE,
            });
        }
        Self::from_bytes(path, &fs::read(path).map_err(read)?)
    }

    /// Reads a model from memory; `name` is what errors call it.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(name: impl Into<PathBuf>, bytes: &[u8]) -> Result<Self, OnnxError> {
        let path = name.into();
        let not_onnx = |reason| OnnxError::NotOnnx {
            path: path.clone(),
            reason,
        };
        // Only the input's shape counts: what the file says of the shapes within holds for the size it was saved at.
        let onnx = tract_onnx::onnx()
            .with_ignore_output_shapes(true)
            .with_ignore_value_info(true);
        let proto = guarded(|| onnx.proto_model_for_read(&mut &*bytes)).map_err(not_onnx)?;
        let (input, outputs) = checked(&path, &proto, &onnx)?;
        let metadata = proto.metadata_props.iter();
        let metadata = metadata
            .map(|entry| (entry.key.clone(), entry.value.clone()))
            .collect();
        let graph = guarded(|| onnx.model_for_proto_model(&proto)).map_err(not_onnx)?;
        Ok(Self {
            path,
            input,
            outputs,
            metadata,
            graph,
        })
    }

    /// The file it came from, or the name it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it takes.
    pub fn input(&self) -> &OnnxInput {
        &self.input
    }

    /// The names of its outputs, in the file's order, which [`OnnxRunner::run`] keeps.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// What the file says under a key of its metadata, such as the class names of a detector.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// Fixes the input's shape and prepares the model to run: shapes inferred, constants folded, operators fused.
    ///
    /// The shape need not be the declared one, for convolutional models run at any size.
    ///
    /// # Errors
    /// When the shape has another rank than declared, or the model's operators do not work out with it.
    pub fn at_shape(&self, shape: &[usize]) -> Result<OnnxRunner, OnnxError> {
        let misfit = |reason| OnnxError::Shape {
            path: self.path.clone(),
            shape: shape.into(),
            reason,
        };
        let declared = &self.input.shape;
        if !declared.is_empty() && declared.len() != shape.len() {
            return Err(misfit(format!("it takes {} dimensions", declared.len())));
        }
        OnnxRunner::new(&self.path, &self.graph, shape, &self.outputs).map_err(misfit)
    }
}

impl fmt::Debug for OnnxModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnnxModel")
            .field("path", &self.path)
            .field("input", &self.input)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}

/// Runs what works on a file's contents. tract reports most of what is wrong with a file as errors, but unwraps and
/// indexes on some of it; somebody else's file must not end the program, so a panic becomes an error too.
pub(super) fn guarded<T>(act: impl FnOnce() -> TractResult<T>) -> Result<T, String> {
    match panic::catch_unwind(AssertUnwindSafe(act)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(format!("{error:#}")),
        Err(_) => Err("the model's contents do not fit together".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_on_a_files_contents_is_an_error() {
        let told = guarded::<()>(|| panic!("index out of bounds"));
        assert_eq!(
            told,
            Err("the model's contents do not fit together".to_owned())
        );
    }
}
