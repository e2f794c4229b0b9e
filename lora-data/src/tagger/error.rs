use std::{io, path::PathBuf};

use atomic_file::WriteError;

use crate::onnx::OnnxError;

/// A list of tags that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagListError {
    /// The file could not be read.
    #[error("{}: cannot be read: {cause}; name the tagger's list of tags with --tags", path.display())]
    Read {
        /// The list's file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The header has no column of names.
    #[error(
        "{}: has no column \"name\", only {}; expected tag_id,name,category,count or one tag a line",
        path.display(),
        columns.join(", ")
    )]
    NoNames {
        /// The list's file.
        path: PathBuf,
        /// The columns found.
        columns: Vec<String>,
    },
    /// A row cannot be read.
    #[error("{}: line {line}: {reason}", path.display())]
    Row {
        /// The list's file.
        path: PathBuf,
        /// The row's line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The file has no tags.
    #[error("{}: holds no tags", path.display())]
    Empty {
        /// The list's file.
        path: PathBuf,
    },
}

/// A tagger that cannot be used, or failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaggerError {
    /// The model cannot be read or run.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The list of tags cannot be read.
    #[error(transparent)]
    Tags(#[from] TagListError),
    /// The model takes no pictures.
    #[error(
        "{}: its input has the shape {shape}; expected a square picture, [N, size, size, 3] or [N, 3, size, size]",
        path.display()
    )]
    Input {
        /// The model's file.
        path: PathBuf,
        /// The shape found, with `?` for what is left open.
        shape: String,
    },
    /// The model takes pictures of another size than asked for.
    #[error("{}: takes pictures of {found} × {found} pixels, not of {asked} × {asked}", path.display())]
    Size {
        /// The model's file.
        path: PathBuf,
        /// The size in the file.
        found: u32,
        /// The size asked for.
        asked: u32,
    },
    /// The model and the list do not belong together.
    #[error(
        "{}: gives {found} numbers for a picture, but {} names {tags} tags; they do not belong together",
        path.display(),
        list.display()
    )]
    OutputCount {
        /// The model's file.
        path: PathBuf,
        /// The list's file.
        list: PathBuf,
        /// How many numbers the model gives.
        found: usize,
        /// How many tags the list names.
        tags: usize,
    },
    /// A number is no probability.
    #[error(
        "{}: gives {value} for \"{tag}\", which is no probability; if it gives logits, say so (--logits)",
        path.display()
    )]
    NotAProbability {
        /// The model's file.
        path: PathBuf,
        /// The tag.
        tag: String,
        /// The number.
        value: f32,
    },
    /// A picture could not be brought to the model's size.
    #[error("cannot be resized to {size} × {size}: {reason}")]
    Resize {
        /// The model's size.
        size: u32,
        /// What the resizer said.
        reason: String,
    },
    /// An embedding program's own tagger failed.
    #[error(transparent)]
    Other(Box<dyn std::error::Error + Send + Sync>),
}

/// A rule for tags that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TagRuleError {
    /// A regular expression is malformed.
    #[error("/{pattern}/ is no regular expression: {reason}")]
    Pattern {
        /// The expression, without its slashes.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No tag was named.
    #[error("a tag is named by nothing")]
    EmptyPattern,
    /// Not of the form `old=new`.
    #[error("\"{text}\" is not of the form old=new; to leave a tag out, exclude it")]
    Replacement {
        /// What was given.
        text: String,
    },
}

/// What ends the tagging of a folder before its last picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagError {
    /// A folder, or something in it, could not be listed.
    #[error("{}: cannot be listed: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// There is nothing to tag.
    #[error("{}: has no pictures (png, jpg, jpeg, webp, bmp){advice}", path.display())]
    NoPictures {
        /// The folder.
        path: PathBuf,
        /// What to do about it.
        advice: String,
    },
    /// A setting has a value that it cannot have.
    #[error("{setting} = {value}: expected {expected}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// The value found.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// The tagger failed.
    #[error(transparent)]
    Tagger(#[from] TaggerError),
    /// A caption, or the journal of what is done, could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}
