use std::{
    error::Error,
    fmt, io,
    path::{Path, PathBuf},
};

use crate::PictureFlaw;

/// A picture that could not be brought in. The message holds the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file could not be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    Read {
        /// The picture's file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The file has no bytes.
    #[error("{}: is empty (0 bytes)", path.display())]
    Empty {
        /// The picture's file.
        path: PathBuf,
    },
    /// The file is refused for what it is or says of itself.
    #[error("{}: {flaw}", path.display())]
    Picture {
        /// The picture's file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: PictureFlaw,
    },
    /// The pixels within the file cannot be unpacked.
    #[error("{}: cannot be decoded: {}", path.display(), cause.to_string().trim_end())]
    Decode {
        /// The picture's file.
        path: PathBuf,
        /// What the decoder said.
        cause: image::ImageError,
    },
    /// The decoded picture could not be resized.
    #[error("{}: cannot be resized: {reason}", path.display())]
    Resize {
        /// The picture's file.
        path: PathBuf,
        /// What the resizer said.
        reason: String,
    },
    /// An embedding program's own dataset failed.
    #[error(transparent)]
    Other(Box<dyn Error + Send + Sync>),
}

impl DataError {
    pub(crate) fn read(path: &Path, cause: io::Error) -> Self {
        Self::Read {
            path: path.into(),
            cause,
        }
    }

    pub(crate) fn picture(path: &Path, flaw: PictureFlaw) -> Self {
        Self::Picture {
            path: path.into(),
            flaw,
        }
    }
}

/// Everything that keeps a dataset from being opened, found in one pass.
#[derive(Debug)]
pub struct DatasetError {
    /// The problems, sorted by their message and so by file; at least one.
    pub problems: Vec<Problem>,
}

impl Error for DatasetError {}

impl fmt::Display for DatasetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => write!(f, "the dataset has a problem:")?,
            count => write!(f, "the dataset has {count} problems:")?,
        }
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

/// One thing that is wrong with a dataset's settings, folders or files. The message holds the cause.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// A setting has a value that it cannot have.
    #[error("{setting} = {value}: expected {expected}")]
    Setting {
        /// The setting's name in the config.
        setting: &'static str,
        /// The value found.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The config names no folder.
    #[error("no folder of pictures is given: set folders")]
    NoFolders,
    /// A folder, or something in it, could not be listed.
    #[error("{}: cannot be listed: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A folder has no picture that can be trained.
    #[error("{}: has no pictures (png, jpg, jpeg, webp, bmp){}", path.display(), subfolder_advice(subfolders))]
    NoPictures {
        /// The folder.
        path: PathBuf,
        /// The names of the folders in it, which may have been meant.
        subfolders: Vec<String>,
    },
    /// The same folder was reached twice.
    #[error("{}: is listed twice; use repeats to show its pictures more often", path.display())]
    ListedTwice {
        /// The folder.
        path: PathBuf,
    },
    /// The pictures of a folder would never be shown.
    #[error("{}: repeats is 0, so its pictures would never be shown; use 1 or more", path.display())]
    ZeroRepeats {
        /// The folder.
        path: PathBuf,
    },
    /// The folders' repeats make an epoch too long to plan.
    #[error(
        "{}: {in_folder} exposures an epoch by its repeats, {exposures} with all folders; more than {most} are not \
         planned; use fewer repeats",
        path.display()
    )]
    TooManyExposures {
        /// The folder with the most exposures.
        path: PathBuf,
        /// The exposures of that folder's pictures.
        in_folder: u64,
        /// The exposures of all folders' pictures.
        exposures: u64,
        /// The most that are planned.
        most: u64,
    },
    /// A picture could not be brought in.
    #[error(transparent)]
    Picture(#[from] DataError),
    /// A caption file could not be read.
    #[error("{}: cannot be read: {cause}", path.display())]
    CaptionUnreadable {
        /// The caption file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A caption file is in another encoding.
    #[error("{}: line {line} is not UTF-8 (byte {byte} of the file); save the file as UTF-8", path.display())]
    CaptionNotUtf8 {
        /// The caption file.
        path: PathBuf,
        /// The first line, counted from 1, that is not UTF-8.
        line: usize,
        /// The place of the first byte that is not, counted from 1.
        byte: usize,
    },
    /// A caption file has no words.
    #[error("{}: is empty; write a caption, or set caption.allow_missing to train without one", path.display())]
    CaptionEmpty {
        /// The caption file.
        path: PathBuf,
    },
    /// A picture has no bucket, for it is not to be enlarged.
    #[error(
        "{}: is {}×{} pixels, less than a bucket's step of {step}; leave it out, or set buckets.no_upscale = false",
        image.display(), size.0, size.1
    )]
    BelowBucket {
        /// The picture's file.
        image: PathBuf,
        /// Its width and height in pixels.
        size: (u32, u32),
        /// The step of the buckets in pixels.
        step: u32,
    },
    /// A mask has other proportions than its picture.
    #[error(
        "{}: is {}×{} pixels, but its picture is {}×{}: a mask has the proportions of its picture",
        path.display(), size.0, size.1, picture.0, picture.1
    )]
    MaskMisfit {
        /// The mask's file.
        path: PathBuf,
        /// Its width and height in pixels.
        size: (u32, u32),
        /// The picture's, after its EXIF turn.
        picture: (u32, u32),
    },
    /// A file that describes a dataset cannot be followed.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, with line or key.
        reason: String,
    },
    /// A picture has no caption file, and its folder no class tokens.
    #[error(
        "{}: has no caption; {}add {expected}, or name the folder N_class (as 10_sks dog), or set caption.allow_missing",
        image.display(),
        unread_advice(unread.as_deref())
    )]
    CaptionMissing {
        /// The picture's file.
        image: PathBuf,
        /// The name of the caption file that would be read.
        expected: String,
        /// A file beside it that looks like a caption and ends otherwise than captions do.
        unread: Option<PathBuf>,
    },
}

fn unread_advice(unread: Option<&Path>) -> String {
    unread.map_or(String::new(), |path| {
        let name = path.file_name().unwrap_or_default();
        format!("{} ends otherwise than captions do; ", name.display())
    })
}

fn subfolder_advice(subfolders: &[String]) -> String {
    if subfolders.is_empty() {
        return String::new();
    }
    let names = subfolders.join(", ");
    format!("; folders in it are entered when named N_class (as 10_sks dog), or list them: {names}")
}
