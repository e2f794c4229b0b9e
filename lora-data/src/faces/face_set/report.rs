use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::CropFrame;
use crate::faces::FaceBox;

/// How far the work is; told after each picture.
#[derive(Clone, Copy, Debug)]
pub struct FaceSetProgress<'a> {
    /// Pictures done.
    pub done: usize,
    /// Pictures in all.
    pub total: usize,
    /// The one that was done last.
    pub picture: &'a FacePicture,
}

/// What became of a folder's pictures.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaceSetReport {
    /// The folders of crops.
    pub folders: Vec<FaceFolderReport>,
    /// The pictures, in the order of their folders and names; without those that were not reached.
    pub pictures: Vec<FacePicture>,
    /// Crops whose picture is gone; they are left where they are.
    pub orphans: Vec<PathBuf>,
    /// Whether it was told to stop before all pictures were done.
    pub stopped: bool,
}

/// A folder of crops.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FaceFolderReport {
    /// The folder of their pictures.
    pub source: PathBuf,
    /// Where they are.
    pub path: PathBuf,
    /// How often an epoch shows each, by the folder's name.
    pub repeats: u32,
    /// How many there are.
    pub crops: usize,
}

/// What became of one picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FacePicture {
    /// Its file.
    pub image: PathBuf,
    /// Whether it was looked at.
    pub outcome: PictureOutcome,
    /// Its faces, the largest first.
    pub faces: Vec<FoundFace>,
    /// Crops of an earlier run that are no longer made of it, and were removed.
    pub removed: Vec<PathBuf>,
    /// Files that were changed by hand since they were written, or are not ours, and were left as they are.
    pub left: Vec<PathBuf>,
}

/// Whether a picture was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PictureOutcome {
    /// Its faces were searched for.
    Searched,
    /// Neither it nor the options have changed since the last run.
    Unchanged,
    /// It, or its caption, could not be read.
    Failed(String),
}

/// A face in a picture, and the crop made of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FoundFace {
    /// Where it is.
    pub face: FaceBox,
    /// What became of it.
    pub outcome: FaceOutcome,
    /// What its crop shows of the picture, unless there is none.
    pub frame: Option<CropFrame>,
    /// Width and height of the crop, unless there is none.
    pub size: Option<(u32, u32)>,
    /// The crop's file name, unless there is none.
    pub file: Option<String>,
    /// The crop's caption, unless it has none.
    pub caption: Option<String>,
}

/// What became of a face.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaceOutcome {
    /// Its crop was written; in a dry run, would be.
    Written,
    /// Its crop was there already.
    Kept,
    /// Its crop was removed by hand, and is not made again.
    RemovedByHand,
    /// Another file has the crop's name; it is left as it is.
    InTheWay,
    /// It is smaller than the least size.
    TooSmall,
    /// The crop would show almost all of the picture.
    FillsPicture,
    /// There are as many larger faces as were asked for.
    BeyondMost,
}

impl FaceOutcome {
    /// Whether the face has a crop on the disk, or would have after a dry run.
    pub fn is_cropped(self) -> bool {
        matches!(self, Self::Written | Self::Kept)
    }
}
