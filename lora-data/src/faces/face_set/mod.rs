//! The face-enhanced set: crops of the faces in a folder's pictures, with captions, in folders of their own beside it.

mod crop_files;
mod crop_frame;
mod error;
mod face_caption;
mod face_folder;
mod options;
mod record;
mod report;
mod set;
mod source;
mod work;

pub use crop_frame::CropFrame;
pub use error::FaceSetError;
pub use face_caption::FaceCaption;
pub use options::FaceSetOptions;
pub use report::{
    FaceFolderReport, FaceOutcome, FacePicture, FaceSetProgress, FaceSetReport, FoundFace,
    PictureOutcome,
};
pub use set::FaceSet;
