//! Finding faces in pictures.

mod face_box;
mod face_finder;

pub use face_box::FaceBox;
pub use face_finder::{FaceError, FaceFinder};
