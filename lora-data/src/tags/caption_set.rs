use std::{
    collections::{HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
};

use rayon::prelude::*;

use super::{
    Caption, CaptionOptions, Change, Changes, Edit, Filter, Selection, TagEditor, TagsError,
    edit::ReadyEdit, journal::Journal, tag_line::TagLine,
};
use crate::{
    Problem,
    caption_file::utf8,
    findings::{Findings, file_names},
    tagger::{
        TagCount,
        tag_folder::{PictureToTag, pictures_and_folders},
        tag_key::tag_key,
    },
};

/// The pictures of a folder with their captions, as they were when it was opened.
#[derive(Clone, Debug)]
pub struct CaptionSet {
    folder: PathBuf,
    options: CaptionOptions,
    captions: Vec<Caption>,
    notes: Vec<String>,
}

impl CaptionSet {
    /// Reads the captions of a folder, of the `N_class` folders in it, or of all folders in it.
    ///
    /// An edit that was cut off is taken back first, which [`CaptionSet::notes`] tell.
    ///
    /// # Errors
    /// When an option is out of range, the folder cannot be listed or has no pictures, captions cannot be read or are not
    /// UTF-8 (all of them are told), or an edit that was cut off cannot be taken back.
    pub fn open(folder: &Path, options: &CaptionOptions) -> Result<Self, TagsError> {
        options.check()?;
        if !Journal::is_unfinished(folder)? {
            return Self::read(folder, options);
        }
        match TagEditor::open(folder, options) {
            Ok(editor) => Ok(editor.into_set()),
            Err(TagsError::Locked { .. }) => {
                let mut set = Self::read(folder, options)?;
                let note =
                    "is being edited by another program just now; this is how far it has come";
                set.notes.push(format!("{}: {note}", folder.display()));
                Ok(set)
            }
            Err(error) => Err(error),
        }
    }

    /// The pictures, and notes on what was passed over.
    pub(super) fn list(
        folder: &Path,
        options: &CaptionOptions,
    ) -> Result<(Vec<PictureToTag>, Vec<String>), TagsError> {
        let mut findings = Findings::default();
        let extensions = options.extensions();
        let (pictures, folders) =
            pictures_and_folders(folder, options.recursive, &extensions, &mut findings)?;
        for (folder, listing) in &folders {
            let alone = file_names(listing.captions_without_picture());
            findings.note_names(folder, "captions without a picture", &alone);
        }
        Ok((pictures, findings.notes))
    }

    /// Reads the captions and nothing else.
    pub(super) fn read(folder: &Path, options: &CaptionOptions) -> Result<Self, TagsError> {
        let (pictures, notes) = Self::list(folder, options)?;
        let read = |picture: PictureToTag| -> Result<Caption, Problem> {
            let text = read_if_there(&picture.caption_file)?;
            let PictureToTag {
                image,
                caption_file,
                ..
            } = picture;
            Ok(Caption::new(folder, image, caption_file, text, options))
        };
        let read: Vec<Result<Caption, Problem>> = pictures.into_par_iter().map(read).collect();
        let mut captions = Vec::with_capacity(read.len());
        let mut problems = Vec::new();
        for one in read {
            match one {
                Ok(caption) => captions.push(caption),
                Err(problem) => problems.push(problem),
            }
        }
        if !problems.is_empty() {
            return Err(TagsError::Captions { problems });
        }
        Ok(Self {
            folder: folder.into(),
            options: options.clone(),
            captions,
            notes,
        })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How captions were found and taken apart.
    pub fn options(&self) -> &CaptionOptions {
        &self.options
    }

    /// All pictures, sorted by their paths.
    pub fn captions(&self) -> &[Caption] {
        &self.captions
    }

    /// What was passed over, and what was mended, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn add_note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// The pictures that a filter wants; `tokens` counts the tokens of a text.
    pub fn select(&self, filter: &Filter, tokens: &(dyn Fn(&str) -> usize + Sync)) -> Selection {
        let wanted = self
            .captions
            .par_iter()
            .enumerate()
            .filter(|(_, caption)| filter.matches(caption, &|text| tokens(text)))
            .map(|(index, _)| index);
        Selection::new(wanted.collect())
    }

    /// The pictures of this name: the file's, with or without ending, or the path below the folder, or the caption's file.
    ///
    /// # Errors
    /// When there is none.
    pub fn named(&self, name: &str) -> Result<Selection, TagsError> {
        let wanted = name.replace('\\', "/");
        let wanted = wanted.strip_prefix("./").unwrap_or(&wanted);
        let below = Path::new(name).strip_prefix(&self.folder).ok();
        let below = below.and_then(Path::to_str);
        let is_named = |caption: &Caption| {
            let is = |name: &str| name == wanted || Some(name) == below;
            is(caption.name())
                || is(&caption.file_name())
                || is(&caption.file_stem())
                || is(caption.name().rsplit_once('.').map_or("", |(stem, _)| stem))
                || caption
                    .file()
                    .file_name()
                    .is_some_and(|file| file == wanted)
        };
        let captions = self.captions.iter().enumerate();
        let found = captions.filter(|(_, caption)| is_named(caption));
        let found = Selection::new(found.map(|(index, _)| index).collect());
        if found.is_empty() {
            return Err(TagsError::NoPicture {
                folder: self.folder.clone(),
                name: name.to_owned(),
                suggestion: self.suggestion(wanted),
            });
        }
        Ok(found)
    }

    /// The one picture of this name.
    ///
    /// # Errors
    /// When there is none, or several.
    pub fn the_one_named(&self, name: &str) -> Result<&Caption, TagsError> {
        let found = self.named(name)?;
        match found.indices() {
            [index] => Ok(&self.captions[*index]),
            several => Err(TagsError::SeveralPictures {
                name: name.to_owned(),
                names: several
                    .iter()
                    .map(|index| self.captions[*index].name().to_owned())
                    .collect(),
            }),
        }
    }

    /// How many of the selected pictures have each tag, in every spelling by itself, the most frequent first.
    pub fn counts(&self, selection: &Selection) -> Vec<TagCount> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for &index in selection.indices() {
            let tags: HashSet<&str> = self.captions[index].tags().collect();
            for tag in tags {
                *counts.entry(tag).or_default() += 1;
            }
        }
        let counts = counts.into_iter();
        let mut counts: Vec<TagCount> = counts
            .map(|(tag, pictures)| TagCount {
                tag: tag.to_owned(),
                pictures,
            })
            .collect();
        counts.sort_by(|a, b| b.pictures.cmp(&a.pictures).then_with(|| a.tag.cmp(&b.tag)));
        counts
    }

    /// Of these tags, those that no caption has, each with the most similar that one has, if there is one.
    pub fn unknown<'a>(&self, tags: &[&'a str]) -> Vec<(&'a str, Option<String>)> {
        if tags.is_empty() {
            return Vec::new();
        }
        let known: HashSet<String> = self
            .captions
            .iter()
            .flat_map(Caption::tags)
            .map(tag_key)
            .collect();
        let unknown = tags.iter().filter(|tag| !known.contains(&tag_key(tag)));
        let similar = |tag: &str| nearest(tag_key(tag).as_str(), known.iter().map(String::as_str));
        unknown.map(|tag| (*tag, similar(tag))).collect()
    }

    /// What an edit would do to the selected pictures. Nothing is written.
    ///
    /// # Errors
    /// When something that the edit names is no tag, or a caption would be read as something else afterwards.
    pub fn changes(&self, selection: &Selection, edit: &Edit) -> Result<Changes, TagsError> {
        let frequency = if edit.needs_frequency() {
            self.frequency()
        } else {
            HashMap::new()
        };
        let ready = edit.ready(&self.options, &frequency)?;
        let mut changes = Vec::new();
        for &index in selection.indices() {
            let caption = &self.captions[index];
            changes.extend(self.change(caption, &ready)?);
        }
        Ok(Changes { changes })
    }

    fn change(&self, caption: &Caption, edit: &ReadyEdit<'_>) -> Result<Option<Change>, TagsError> {
        let text = match edit {
            ReadyEdit::File(text) => return Ok(Change::new(caption, (*text).to_owned())),
            ReadyEdit::Caption(text) => (*text).to_owned(),
            ReadyEdit::Tags(edit) => {
                let mut line = TagLine::parse(caption.caption(), &self.options);
                edit(&mut line);
                let text = line.to_string();
                if text == caption.caption() {
                    return Ok(None);
                }
                if !TagLine::parse(&text, &self.options).tags().eq(line.tags()) {
                    return Err(TagsError::Braces {
                        path: caption.file().into(),
                    });
                }
                text.trim().to_owned()
            }
        };
        if text == caption.caption() {
            return Ok(None);
        }
        if text.is_empty() && caption.parts().has_further_lines() {
            return Err(TagsError::Uncovers {
                path: caption.file().into(),
            });
        }
        Ok(Change::new(caption, caption.parts().with(&text)))
    }

    /// How many captions have a tag, by key.
    fn frequency(&self) -> HashMap<String, usize> {
        let mut counts = HashMap::new();
        for caption in &self.captions {
            let keys: HashSet<String> = caption.tags().map(tag_key).collect();
            for key in keys {
                *counts.entry(key).or_default() += 1;
            }
        }
        counts
    }

    /// Takes over what a file holds now.
    pub(super) fn take_over(&mut self, texts: &HashMap<PathBuf, Option<String>>) {
        for caption in &mut self.captions {
            if let Some(text) = texts.get(caption.file()) {
                caption.set_text(text.clone(), &self.options);
            }
        }
    }

    fn suggestion(&self, name: &str) -> String {
        let names = self.captions.iter().map(Caption::name);
        nearest(name, names).map_or(String::new(), |name| format!("; did you mean \"{name}\"?"))
    }
}

/// What a file holds, if it is there.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub(super) fn read_if_there(path: &Path) -> Result<Option<String>, Problem> {
    match fs::read(path) {
        Ok(bytes) => utf8(path, bytes).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(Problem::CaptionUnreadable {
            path: path.into(),
            cause,
        }),
    }
}

/// The most similar name, if one is similar.
fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let length = name.chars().count();
    let distance = |other: &&str| strsim::damerau_levenshtein(name, other);
    let near = names.map(|other| (distance(&other), other)).min()?;
    (near.0 <= 1 + length / 4).then(|| near.1.to_owned())
}
