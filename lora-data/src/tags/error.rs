use std::{
    io,
    path::{Path, PathBuf},
};

use atomic_file::WriteError;

use crate::{Problem, folder_lock::process, tagger::TagError};

/// So many names are spelt out before the others are counted.
const NAMES_SHOWN: usize = 10;

/// Why captions cannot be read or edited.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TagsError {
    /// The folder cannot be listed, or has no pictures.
    #[error(transparent)]
    Folder(#[from] TagError),
    /// Captions that cannot be read or are not UTF-8, all of the folder's.
    #[error("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Captions {
        /// What is wrong with each; at least one.
        problems: Vec<Problem>,
    },
    /// An option has a value that it cannot have.
    #[error("{setting} = {value}: expected {expected}")]
    Setting {
        /// The option's name.
        setting: &'static str,
        /// The value found.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// Something that was named as a tag is none.
    #[error("\"{text}\" {reason}")]
    NoTag {
        /// What was given.
        text: String,
        /// Why it is none.
        reason: String,
    },
    /// A caption was to have several lines.
    #[error("a caption is one line; to change the further lines of its file, edit the file")]
    CaptionOfLines,
    /// No picture has this name.
    #[error("{}: has no picture named \"{name}\"{suggestion}", folder.display())]
    NoPicture {
        /// The folder.
        folder: PathBuf,
        /// The name.
        name: String,
        /// What may have been meant.
        suggestion: String,
    },
    /// Several pictures have this name.
    #[error("several pictures are named \"{name}\": {}; name the one that is meant with its folder", names.join(", "))]
    SeveralPictures {
        /// The name.
        name: String,
        /// Their paths below the folder.
        names: Vec<String>,
    },
    /// Without its last tag, a file's next line would become the caption.
    #[error(
        "{}: would lose its last tag, and its next line would become the caption; edit that file first or leave it out. \
         Nothing was changed",
        path.display()
    )]
    Uncovers {
        /// The caption's file.
        path: PathBuf,
    },
    /// With braces that do not pair, tags would become others.
    #[error(
        "{}: has braces that do not pair, so that after this its tags would be read as others; edit that file first or \
         leave it out. Nothing was changed",
        path.display()
    )]
    Braces {
        /// The caption's file.
        path: PathBuf,
    },
    /// A name cannot stand in the journal.
    #[error("{}: its name is not Unicode, so that the journal cannot name it; rename it", path.display())]
    NotUnicode {
        /// The caption's file.
        path: PathBuf,
    },
    /// Another editor has the folder.
    #[error("{}: is being edited by another program{}; wait until it is done, or close it", folder.display(), process(*by))]
    Locked {
        /// The folder.
        folder: PathBuf,
        /// That program's process, where it is known.
        by: Option<u32>,
    },
    /// A file could not be read or written.
    #[error("{}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// A caption or the journal could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// Captions are not as they were read, or as the edit to be undone left them.
    #[error(
        "{} changed by another program since, so nothing was done: {}",
        if paths.len() == 1 { "a caption was".to_owned() } else { format!("{} captions were", paths.len()) },
        some(paths)
    )]
    Changed {
        /// Their files; at least one.
        paths: Vec<PathBuf>,
    },
    /// The journal cannot be followed.
    #[error(
        "{}: line {line}: {reason}; the captions are as they are, but nothing before can be undone: move the file away to \
         go on without it",
        path.display()
    )]
    Journal {
        /// The journal's file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to undo.
    #[error("{}: has no edit that could be undone", folder.display())]
    NothingToUndo {
        /// The folder.
        folder: PathBuf,
    },
    /// There is nothing to redo.
    #[error("{}: has no undone edit that could be done again", folder.display())]
    NothingToRedo {
        /// The folder.
        folder: PathBuf,
    },
    /// The edit was told to stop; all captions are as before.
    #[error("stopped; all captions are as before")]
    Stopped,
    /// Captions could neither be written nor be brought back; the next editor of the folder tries again.
    #[error(
        "{cause}; what was written could not be taken back ({again}): the next edit of this folder tries again"
    )]
    NotTakenBack {
        /// What failed first.
        cause: Box<TagsError>,
        /// What failed then.
        again: Box<TagsError>,
    },
}

impl TagsError {
    pub(super) fn file(path: &Path, cause: io::Error) -> Self {
        Self::File {
            path: path.into(),
            cause,
        }
    }
}

fn some(paths: &[PathBuf]) -> String {
    let shown: Vec<String> = paths
        .iter()
        .take(NAMES_SHOWN)
        .map(|path| path.display().to_string())
        .collect();
    match paths.len().saturating_sub(NAMES_SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
