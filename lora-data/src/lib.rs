//! Pictures and captions for training: what a run is shown, in which order and with which words.
//!
//! The crate knows pixels and text, no tensors. [`ImageFolders::open`] reads folders once and reports everything that is
//! wrong with them together; [`epoch_plan()`] says which picture each step shows; [`CaptionConfig::render`] says with which
//! words. Both are pure functions of the seed and the epoch, so a resumed run needs no random state.
//!
//! An embedding program with pictures of its own implements [`Dataset`].

mod augment;
mod caption;
mod caption_file;
mod captioned;
mod concept;
mod config;
mod cover_crop;
mod dataset;
mod epoch_plan;
mod error;
mod findings;
mod folder_listing;
mod folder_metadata;
mod image_folders;
mod kohya_name;
mod picture_file;
mod pixels;
mod random_stream;
mod resolution;
mod subset;
mod view;

pub use augment::AugmentConfig;
pub use caption::CaptionConfig;
pub use config::{DatasetConfig, FolderConfig};
pub use dataset::{Dataset, Entry};
pub use epoch_plan::{Exposure, epoch_plan, exposures_per_epoch, steps_per_epoch};
pub use error::{DataError, DatasetError, Problem};
pub use folder_metadata::{DatasetDir, dataset_dirs, tag_frequency};
pub use image_folders::ImageFolders;
pub use kohya_name::KohyaName;
pub use picture_file::{
    AlphaPolicy, DecodeOptions, Decoded, PictureFlaw, PictureLimits, decode_picture, dimensions,
};
pub use pixels::{Framing, Pixels};
pub use resolution::Resolution;
pub use subset::Subset;
pub use view::{ColorShift, View};
