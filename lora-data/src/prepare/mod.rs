//! From a pile of pictures to pictures that are cut, clean and of one size, or of the sizes of buckets.
//!
//! [`Preparation::open`] lists what is there and refuses what cannot go well; [`Preparation::run`] works through it, a
//! picture a thread at a time. Originals are only read. A record in the out folder says what was made of what, written
//! before each file: the next run makes only what has changed, replaces only what it wrote itself, and one that was
//! stopped or killed goes on to the same files.

mod boxes;
mod carried;
mod crop_window;
mod cut_plan;
mod duplicates;
mod encoding;
mod error;
mod interest;
mod listing;
mod options;
mod out_files;
mod perceptual_hash;
mod places;
mod preparation;
mod record;
mod report;
mod sharpness;
mod survey;
mod thumbnails;
mod work;

pub use crop_window::CutMethod;
pub use error::{BoxError, PrepareError};
pub(crate) use options::COPY_BITS;
pub use options::{CropMode, DuplicatePolicy, OutputFormat, PrepareOptions, SmallPolicy, Target};
pub(crate) use perceptual_hash::PerceptualHash;
pub use preparation::Preparation;
pub use report::{
    Cut, Duplicate, DuplicateGroup, PreparePhase, PrepareProgress, PrepareReport, PreparedPicture,
    PreparedState, SkipReason,
};
pub use survey::Survey;
pub(crate) use survey::small_copy;
