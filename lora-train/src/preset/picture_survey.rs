use std::{collections::BTreeMap, path::Path};

use lora_data::{
    KohyaName,
    tags::{CaptionOptions, CaptionSet, TagsError},
};
use serde::Serialize;

/// What a run file's author has to know of a folder of pictures; no picture is decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PictureSurvey {
    /// Pictures in it, or in its `N_words` folders.
    pub pictures: usize,
    /// Those without a caption file.
    pub without_caption: usize,
    /// Those with a caption that does not have the trigger word.
    pub without_trigger: usize,
    /// Folders whose names say how often their pictures are shown, with that number.
    pub named: BTreeMap<String, u32>,
}

impl PictureSurvey {
    /// Looks at the pictures and captions of `folder`.
    ///
    /// # Errors
    /// When it cannot be listed or has no pictures, or a caption cannot be read.
    pub fn open(folder: &Path, trigger: &str) -> Result<Self, TagsError> {
        let set = CaptionSet::open(folder, &CaptionOptions::default())?;
        let mut survey = Self::default();
        let trigger = trigger.trim().to_lowercase();
        for caption in set.captions() {
            survey.pictures += 1;
            if !caption.has_file() {
                survey.without_caption += 1;
            } else if !caption.caption().to_lowercase().contains(&trigger) {
                survey.without_trigger += 1;
            }
            let parent = caption.picture().parent().unwrap_or(folder);
            // `.` does not tell its name.
            let parent = parent.canonicalize().unwrap_or_else(|_| parent.into());
            let name = parent.file_name().unwrap_or_default().to_string_lossy();
            if let Some(said) = KohyaName::parse(&name) {
                survey.named.insert(name.into_owned(), said.repeats);
            }
        }
        Ok(survey)
    }
}
