//! Pictures and captions for training: what a run is shown, in which order and with which words.
//!
//! The crate knows pixels and text, no tensors. [`ImageFolders::open`] reads folders once and reports everything that is
//! wrong with them together; [`epoch_plan()`] says which picture each step shows; [`CaptionConfig::render`] says with which
//! words. Both are pure functions of the seed and the epoch, so a resumed run needs no random state.
//!
//! An embedding program with pictures of its own implements [`Dataset`].
//!
//! [`prepare`] makes clean pictures of one size of a pile of them. [`faces`] finds faces and cuts them out as a set of
//! their own; [`onnx`] runs the models of detectors; [`tagger`] writes captions and [`tags`] edits them.

mod augment;
mod buckets;
mod caption;
mod caption_file;
mod caption_text;
mod captioned;
mod color_shift;
mod concept;
mod config;
mod cover_crop;
mod dataset;
mod epoch_plan;
mod error;
mod exposure_limit;
pub mod faces;
mod findings;
mod folder_listing;
mod folder_lock;
mod folder_metadata;
mod group;
mod heldout_split;
mod image_folders;
mod kohya_config;
mod kohya_keys;
mod kohya_name;
mod mask_config;
mod masks;
mod metadata_file;
pub mod onnx;
mod overrides;
mod parts_digest;
mod picture_digest;
mod picture_embedder;
mod picture_file;
mod picture_folders;
mod pixels;
pub mod prepare;
mod random_stream;
mod regularisation;
mod resolution;
mod showing;
mod subset;
pub mod tagger;
pub mod tags;
mod toml_message;
mod view;
mod wildcard;

pub use augment::AugmentConfig;
pub use buckets::{BucketConfig, Buckets, Fit};
pub use caption::CaptionConfig;
pub use config::{DatasetConfig, FolderConfig};
pub use dataset::{Dataset, Entry};
pub use epoch_plan::{Exposure, epoch_plan, exposures_per_epoch, steps_per_epoch};
pub use error::{DataError, DatasetError, Problem};
pub use folder_lock::{FolderLock, LockError};
pub use folder_metadata::{DatasetDir, dataset_dirs, tag_frequency};
pub use heldout_split::{HeldoutSplit, SplitSize};
pub use image_folders::ImageFolders;
pub use kohya_config::check_kohya_config;
pub use kohya_name::KohyaName;
pub use mask_config::{MaskConfig, MaskSource};
pub use overrides::{AugmentOverrides, CaptionOverrides};
pub use picture_embedder::{EmbedderConfig, EmbedderError, PictureEmbedder};
pub use picture_file::{
    AlphaPolicy, DecodeOptions, Decoded, PictureFlaw, PictureLimits, decode_picture, dimensions,
};
pub use pixels::{Framing, Pixels};
pub use resolution::Resolution;
pub use showing::Showing;
pub use subset::Subset;
pub use toml_message::with_suggestion;
pub use view::{ColorShift, View};
