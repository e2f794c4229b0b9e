//! Finding faces in pictures.

mod canvas;
mod face_box;
mod face_finder;
pub mod face_set;
mod finder_options;
mod layout;
mod non_maximum;
mod onnx_face_finder;
mod yolo;
mod yunet;

pub use face_box::FaceBox;
pub use face_finder::{FaceError, FaceFinder};
pub use finder_options::FaceFinderOptions;
pub use onnx_face_finder::OnnxFaceFinder;
