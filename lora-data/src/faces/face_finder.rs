use std::path::PathBuf;

use image::RgbImage;

use super::FaceBox;
use crate::onnx::OnnxError;

/// Something that finds faces in a picture. [`OnnxFaceFinder`](super::OnnxFaceFinder) is the one for models in files,
/// and has one with it.
pub trait FaceFinder: Send + Sync {
    /// The faces of a picture, the surest first; none when there are none.
    ///
    /// # Errors
    /// When the detector's model fails.
    fn find(&self, picture: &RgbImage) -> Result<Vec<FaceBox>, FaceError>;

    /// Tells finders apart: two that may find different faces in a picture have different ones.
    fn fingerprint(&self) -> String {
        String::new()
    }
}

/// A face detector that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaceError {
    /// Its model cannot be loaded or run.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// Its model is of no known kind of face detector.
    #[error("{}: is no face detector of a known kind: {reason}", path.display())]
    Layout {
        /// The model's file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// An option has a value that it cannot have.
    #[error("{option} is {value}: expected {expected}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A picture could not be scaled to the detector's size.
    #[error("a picture could not be scaled: {reason}")]
    Scale {
        /// What the resizer said.
        reason: String,
    },
}
