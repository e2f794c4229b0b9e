use image::RgbImage;

use super::FaceBox;
use crate::onnx::OnnxError;

/// Something that finds faces in a picture.
pub trait FaceFinder: Send + Sync {
    /// The faces of a picture, the surest first; none when there are none.
    ///
    /// # Errors
    /// When the detector's model fails.
    fn find(&self, picture: &RgbImage) -> Result<Vec<FaceBox>, FaceError>;
}

/// A face detector that failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FaceError {
    /// The detector's model cannot be used.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
}
