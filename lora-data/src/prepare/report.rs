use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{CutMethod, Survey};
use crate::{Resolution, faces::face_set::CropFrame};

/// What a run does; where copies are left out, pictures are looked at before any is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparePhase {
    /// Pictures are looked at, to find copies.
    Looking,
    /// Pictures are cut and written.
    Cutting,
}

/// How far the work is; told after each picture.
#[derive(Clone, Copy, Debug)]
pub struct PrepareProgress<'a> {
    /// What is being done.
    pub phase: PreparePhase,
    /// Pictures done in this phase.
    pub done: usize,
    /// Pictures in all.
    pub total: usize,
    /// What became of the one that was done last; none while looking.
    pub picture: Option<&'a PreparedPicture>,
}

/// What became of a folder's pictures. Paths of pictures are below the folder, paths of files below the out folder, with
/// `/` between names.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PrepareReport {
    /// The folder of pictures.
    pub input: PathBuf,
    /// The out folder.
    pub output: PathBuf,
    /// The pictures by name, without those that were not reached.
    pub pictures: Vec<PreparedPicture>,
    /// Groups of copies.
    pub duplicates: Vec<DuplicateGroup>,
    /// Files of an earlier run whose picture is gone; they are there still.
    pub gone: Vec<String>,
    /// Files of an earlier run whose picture is gone, and which were removed for that.
    pub pruned: Vec<String>,
    /// How many pictures were not reached when the run was told to stop.
    pub left: usize,
}

/// What became of one picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PreparedPicture {
    /// Its path below the folder.
    pub picture: String,
    /// What became of it.
    #[serde(flatten)]
    pub state: PreparedState,
    /// What it is like, unless it could not be read.
    pub survey: Option<Survey>,
    /// Whether it is smaller than what was asked for.
    pub small: bool,
    /// Whether its sharpness is below the limit.
    pub blurred: bool,
    /// What was cut, unless it was left out or could not be read.
    pub cut: Option<Cut>,
    /// Files of an earlier run that are no longer made of it, and were removed.
    pub removed: Vec<String>,
    /// Files that were changed by hand since they were written, and were left as they are.
    pub left: Vec<String>,
    /// A small version of the picture, where thumbnails are kept.
    #[serde(skip)]
    pub before: Option<PathBuf>,
    /// A small version of what was made of it, where thumbnails are kept.
    #[serde(skip)]
    pub after: Option<PathBuf>,
}

/// What became of one picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum PreparedState {
    /// Its files were written; in a dry run, would be.
    Written,
    /// Its files are there as they would be written.
    Unchanged,
    /// It was left out.
    Skipped {
        /// Why.
        reason: SkipReason,
    },
    /// It could not be read, or its files not be written.
    Failed {
        /// What is wrong, with the name of the file in question.
        problem: String,
    },
}

/// Why a picture was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// It would have to be enlarged to this size.
    TooSmall(Resolution),
    /// A side is shorter than a step of the buckets, in pixels.
    BelowBucket(u32),
    /// It is blurred.
    Blurred,
    /// It is a copy of this picture.
    Duplicate(String),
}

/// What was cut out of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// What is shown, in the picture's pixels, to the nearest.
    pub frame: CropFrame,
    /// How that was chosen.
    pub method: CutMethod,
    /// Width and height of what was made, in pixels.
    pub size: (u32, u32),
    /// The picture's file, below the out folder.
    pub file: String,
}

/// Pictures that look the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DuplicateGroup {
    /// The one with the most pixels, which is kept where copies are left out.
    pub kept: String,
    /// The others, by name.
    pub copies: Vec<Duplicate>,
}

/// A copy of a picture.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Duplicate {
    /// The copy.
    pub picture: String,
    /// In how many bits of 256 it differs from what is kept.
    pub bits: u32,
    /// Whether the two files are the same byte for byte.
    pub same_bytes: bool,
}
