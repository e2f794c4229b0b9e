use std::path::PathBuf;

use crate::{DataError, Pixels, Resolution, Subset, View, buckets::covering};

/// What training is fed from: a fixed list of pictures, and the pixels of each.
///
/// [`ImageFolders`](crate::ImageFolders) is the implementation for files; an embedding program brings its own and need
/// implement nothing but [`entries`](Self::entries) and [`pixels`](Self::pixels).
pub trait Dataset: Send + Sync {
    /// The pictures. The order is fixed: the index is how epoch plans and caches name a picture.
    fn entries(&self) -> &[Entry];

    /// The pixels of the picture at `index` as `view` shows it, [`Entry::target`] in size.
    ///
    /// # Errors
    /// When the picture cannot be read or decoded.
    ///
    /// # Panics
    /// May panic when `index` is not below the number of entries.
    fn pixels(&self, index: usize, view: &View) -> Result<Pixels, DataError>;

    /// Width and height that the picture at `index` is resized to before it is cut to [`Entry::target`].
    ///
    /// # Panics
    /// May panic when `index` is not below the number of entries.
    fn resized(&self, index: usize) -> (u32, u32) {
        let entry = &self.entries()[index];
        covering(entry.size, entry.target)
    }

    /// What groups of pictures have in common; [`Entry::subset`] points into it. Empty: the config's general rules
    /// hold for all pictures.
    fn subsets(&self) -> &[Subset] {
        &[]
    }

    /// A SHA-256 over everything that [`pixels`](Self::pixels) depends on for this picture and view — the file's bytes,
    /// the target size, the crop, the flip and this crate's version of the arithmetic — without decoding the picture.
    ///
    /// `None` (the default) where that is not known: then nothing about the picture is kept on the disk.
    ///
    /// # Errors
    /// When the picture's file cannot be read.
    fn digest(&self, index: usize, view: &View) -> Result<Option<[u8; 32]>, DataError> {
        let _ = (index, view);
        Ok(None)
    }
}

/// One picture of a dataset, without its pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The picture's file.
    pub image: PathBuf,
    /// The words trained with it, before [`CaptionConfig::render`](crate::CaptionConfig::render); several lines where
    /// the caption file has several and wildcards choose among them.
    pub caption: String,
    /// The name of the folder it stands in, such as `10_sks dog`, by which saved files count tags.
    pub folder: String,
    /// How often an epoch shows it; at least 1.
    pub repeats: u32,
    /// Width and height in pixels of the picture as it is seen: after its EXIF turn, before resizing.
    pub size: (u32, u32),
    /// Width and height that it is trained at: its bucket.
    pub target: Resolution,
    /// Its group, an index into [`Dataset::subsets`].
    pub subset: usize,
}
