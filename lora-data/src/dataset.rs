use std::path::PathBuf;

use crate::{DataError, Pixels};

/// What training is fed from: a fixed list of pictures, and the pixels of each.
///
/// [`ImageFolders`](crate::ImageFolders) is the implementation for files; an embedding program brings its own.
pub trait Dataset: Send + Sync {
    /// The pictures. The order is fixed: the index is how epoch plans and caches name a picture.
    fn entries(&self) -> &[Entry];

    /// The pixels of the picture at `index`, all pictures in one size.
    ///
    /// # Errors
    /// When the picture cannot be read or decoded.
    ///
    /// # Panics
    /// May panic when `index` is not below the number of entries.
    fn pixels(&self, index: usize) -> Result<Pixels, DataError>;
}

/// One picture of a dataset, without its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The picture's file.
    pub image: PathBuf,
    /// The words trained with it, before [`CaptionConfig::render`](crate::CaptionConfig::render).
    pub caption: String,
    /// The name of the folder it stands in, such as `10_sks dog`, by which saved files count tags.
    pub folder: String,
    /// How often an epoch shows it; at least 1.
    pub repeats: u32,
    /// Width and height in pixels of the picture as it is seen: after its EXIF turn, before resizing.
    pub size: (u32, u32),
}
