use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use super::ScoredTag;

/// What became of a picture that was tagged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its caption was written; in a dry run, it would have been.
    Written,
    /// Its caption has all of it already.
    Unchanged,
    /// No tag counts and no words come along, so that there is nothing to write.
    NothingToWrite,
}

/// A picture and what the tagger makes of it.
#[derive(Clone, Debug, Serialize)]
pub struct TaggedPicture {
    /// The picture's file.
    #[serde(serialize_with = "as_shown")]
    pub picture: PathBuf,
    /// Its caption's file.
    #[serde(serialize_with = "as_shown")]
    pub caption_file: PathBuf,
    /// What became of it.
    pub outcome: Outcome,
    /// The caption, as it is there now or in a dry run would be.
    pub caption: String,
    /// The tags that count, as they are written.
    pub tags: Vec<ScoredTag>,
}

/// A picture that could not be tagged.
#[derive(Clone, Debug, Serialize)]
pub struct FailedPicture {
    /// The picture's file.
    #[serde(serialize_with = "as_shown")]
    pub picture: PathBuf,
    /// What is wrong, with the name of the file in question.
    pub problem: String,
}

/// How many pictures have a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TagCount {
    /// The tag.
    pub tag: String,
    /// The number of pictures.
    pub pictures: usize,
}

/// What a run tells on its way.
#[derive(Debug)]
#[non_exhaustive]
pub enum TagEvent<'a> {
    /// It is known which pictures there are.
    Started {
        /// Pictures to be tagged.
        to_tag: usize,
        /// Pictures that keep the caption they have.
        kept: usize,
        /// Pictures that a run before, which was stopped, has done.
        done_before: usize,
        /// What was passed over, one sentence each.
        notes: &'a [String],
    },
    /// A picture is done. Pictures come in the order of their names.
    Tagged(&'a TaggedPicture),
    /// A picture could not be tagged; the others go on.
    Failed(&'a FailedPicture),
}

/// What came of a folder.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TagReport {
    /// Pictures whose caption was written; in a dry run, would have been.
    pub written: usize,
    /// Pictures whose caption had all of it already.
    pub unchanged: usize,
    /// Pictures for which there was nothing to write: no tag counts, and no words come along.
    pub nothing_to_write: usize,
    /// Pictures that kept the caption they had.
    pub kept: usize,
    /// Pictures that a run before, which was stopped, has done.
    pub done_before: usize,
    /// Pictures that could not be tagged.
    pub failed: Vec<FailedPicture>,
    /// Pictures for which no tag counts.
    #[serde(serialize_with = "all_as_shown")]
    pub without_tags: Vec<PathBuf>,
    /// The tags that were given, the most frequent first.
    pub frequent: Vec<TagCount>,
    /// Pictures not reached when the run was told to stop.
    pub left: usize,
}

/// A name that is no Unicode is no reason to give no document at all.
fn as_shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn all_as_shown<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_unicode_do_not_spoil_the_document() {
        use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
        let path = PathBuf::from(OsStr::from_bytes(b"a\xff.png"));
        let report = TagReport {
            failed: vec![FailedPicture {
                picture: path.clone(),
                problem: String::new(),
            }],
            without_tags: vec![path],
            ..TagReport::default()
        };
        let document = serde_json::to_value(report).unwrap();
        assert_eq!(document["without_tags"][0], "a\u{fffd}.png");
        assert_eq!(document["failed"][0]["picture"], "a\u{fffd}.png");
    }
}
