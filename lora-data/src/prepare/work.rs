use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use image::{DynamicImage, GrayImage};

use super::{
    CropMode, Cut, CutMethod, OutputFormat, PrepareError, PrepareOptions, PreparedPicture,
    PreparedState, SkipReason, Survey,
    boxes::Boxes,
    carried::{Carried, mask},
    crop_window::{around_faces, centre, over, shown_frame},
    cut_plan::{CutPlan, CutPlanner, Planned},
    encoding::encode,
    interest::Interest,
    listing::Source,
    out_files::{OutFiles, There},
    record::{Made, Record, Recorded},
    survey::small_copy,
    thumbnails::Thumbnails,
};
use crate::{
    DecodeOptions, Decoded, Fit, PictureLimits,
    cover_crop::cover_crop_at,
    decode_picture, dimensions,
    faces::{FaceFinder, face_set::CropFrame},
    parts_digest::{bytes_hash, file_hash, hexadecimal, parts_digest},
    picture_file::lay_over,
};

/// All that is the same for every picture of a run.
pub(super) struct Workshop<'a> {
    pub(super) options: &'a PrepareOptions,
    pub(super) planner: CutPlanner,
    pub(super) boxes: &'a Boxes,
    pub(super) finder: Option<&'a dyn FaceFinder>,
    /// Everything besides picture, box, captions and mask that the files depend on.
    pub(super) settings: String,
    pub(super) files: OutFiles<'a>,
    pub(super) record: &'a Record,
    pub(super) thumbnails: Thumbnails,
}

/// A picture that was decoded.
struct Shown {
    picture: DynamicImage,
    /// How opaque it is; none unless that becomes a mask and some of it is transparent.
    opacity: Option<GrayImage>,
}

/// A file to be written.
struct OutFile {
    name: String,
    bytes: Vec<u8>,
}

/// Why a picture did not get to its end: something about it, or about the out folder as a whole.
enum Halt {
    Picture(String),
    Run(PrepareError),
}

impl From<PrepareError> for Halt {
    fn from(error: PrepareError) -> Self {
        Self::Run(error)
    }
}

impl From<String> for Halt {
    fn from(problem: String) -> Self {
        Self::Picture(problem)
    }
}

impl Workshop<'_> {
    /// Looks at a picture without making anything of it: its file's digest, and what it is like.
    ///
    /// # Errors
    /// When the record cannot be written; what is wrong with the picture is in the answer.
    pub(super) fn look(
        &self,
        source: &Source,
    ) -> Result<Result<(String, Survey), String>, PrepareError> {
        let looked = || -> Result<(String, Survey), Halt> {
            let content = content(source)?;
            if let Some(survey) = self.recorded_survey(source, &content) {
                return Ok((content, survey));
            }
            let shown = self.decode(source)?;
            let survey = Survey::of(&small_copy(&shown.picture)?, size(&shown.picture));
            self.record.add(Recorded {
                picture: source.name.clone(),
                content: content.clone(),
                survey: survey.clone(),
                made: self.record.of(&source.name).and_then(|known| known.made),
            })?;
            Ok((content, survey))
        };
        match looked() {
            Ok(looked) => Ok(Ok(looked)),
            Err(Halt::Picture(problem)) => Ok(Err(problem)),
            Err(Halt::Run(error)) => Err(error),
        }
    }

    /// Why a picture is left out, copies aside.
    pub(super) fn reason_to_skip(&self, source: &Source, survey: &Survey) -> Option<SkipReason> {
        match self.plan(source, survey).planned {
            Planned::TooSmall(size) => Some(SkipReason::TooSmall(size)),
            Planned::BelowBucket(step) => Some(SkipReason::BelowBucket(step)),
            Planned::Cut(_) => (self.options.skip_blurred && self.is_blurred(survey))
                .then_some(SkipReason::Blurred),
        }
    }

    /// Makes of a picture what is to be made; `original` is what it is a copy of, where copies are left out. Gives the
    /// digest of its file too, unless it could not be read.
    ///
    /// # Errors
    /// When something cannot be written. What is wrong with the picture is in the answer.
    pub(super) fn make(
        &self,
        source: &Source,
        original: Option<&str>,
    ) -> Result<(PreparedPicture, String), PrepareError> {
        match self.try_make(source, original) {
            Ok(made) => Ok(made),
            Err(Halt::Run(error)) => Err(error),
            Err(Halt::Picture(problem)) => {
                let state = PreparedState::Failed { problem };
                Ok((blank(source, state), String::new()))
            }
        }
    }

    fn try_make(
        &self,
        source: &Source,
        original: Option<&str>,
    ) -> Result<(PreparedPicture, String), Halt> {
        let content = content(source)?;
        let carried = Carried::read(source)?;
        let inputs = self.inputs(source, &content, &carried)?;
        let mut known = self.recorded_survey(source, &content);
        let mut shown = None;
        let wants_thumbnails = self.options.wants_thumbnails();
        let has_thumbnail = |path: PathBuf| !wants_thumbnails || path.is_file();
        if known.is_none() || !has_thumbnail(self.thumbnails.before(&inputs)) {
            let decoded = self.decode(source)?;
            let small = small_copy(&decoded.picture)?;
            known = Some(Survey::of(&small, size(&decoded.picture)));
            if wants_thumbnails {
                self.thumbnails
                    .write(&self.thumbnails.before(&inputs), &small)?;
            }
            shown = Some(decoded);
        }
        let Some(survey) = known else {
            return Err(Halt::Picture(format!(
                "{}: was not looked at",
                source.image.display()
            )));
        };
        let reason = self.reason_to_skip(source, &survey);
        let copy = || original.map(|name| SkipReason::Duplicate(name.to_owned()));
        let mut told = match reason.or_else(copy) {
            Some(reason) => self.skip(source, &content, &survey, reason)?,
            None => match self.unchanged(source, &content, &inputs)? {
                Some(told) if has_thumbnail(self.thumbnails.after(&inputs)) => told,
                _ => {
                    let shown = shown.map_or_else(|| self.decode(source), Ok)?;
                    self.cut(source, shown, &content, &inputs, &survey, carried)?
                }
            },
        };
        told.small = self.plan(source, &survey).is_small;
        told.blurred = self.is_blurred(&survey);
        told.survey = Some(survey);
        if wants_thumbnails {
            told.before = Some(self.thumbnails.before(&inputs));
            told.after = told.cut.is_some().then(|| self.thumbnails.after(&inputs));
        }
        Ok((told, content))
    }

    fn is_blurred(&self, survey: &Survey) -> bool {
        survey.sharpness < self.options.blur
    }

    fn recorded_survey(&self, source: &Source, content: &str) -> Option<Survey> {
        let recorded = self.record.of(&source.name)?;
        (recorded.content == content).then_some(recorded.survey)
    }

    /// The digest of all that the files of a picture depend on.
    fn inputs(&self, source: &Source, content: &str, carried: &Carried) -> Result<String, String> {
        let region = serde_json::to_string(&self.boxes.of(&source.name));
        let region = region.map_err(|error| error.to_string())?;
        let mut parts = vec![
            content.as_bytes(),
            self.settings.as_bytes(),
            region.as_bytes(),
        ];
        parts.extend(carried.parts());
        Ok(parts_digest(&parts))
    }

    fn plan(&self, source: &Source, survey: &Survey) -> CutPlan {
        let region = self.boxes.of(&source.name);
        let size = region.map_or(survey.size, |region| (region.width, region.height));
        self.planner.plan(size)
    }

    fn decode(&self, source: &Source) -> Result<Shown, String> {
        let options = DecodeOptions {
            alpha: self.options.alpha,
            ..DecodeOptions::default()
        };
        let decoded = decode_picture(&source.image, &options).map_err(|error| error.to_string())?;
        let Decoded { mut picture, alpha } = decoded;
        if let Some(alpha) = &alpha {
            lay_over(&mut picture, alpha, self.options.matte);
        }
        Ok(Shown {
            picture: picture.into(),
            opacity: alpha,
        })
    }

    fn skip(
        &self,
        source: &Source,
        content: &str,
        survey: &Survey,
        reason: SkipReason,
    ) -> Result<PreparedPicture, PrepareError> {
        self.record.add(Recorded {
            picture: source.name.clone(),
            content: content.to_owned(),
            survey: survey.clone(),
            made: None,
        })?;
        let mut told = blank(source, PreparedState::Skipped { reason });
        (told.removed, told.left) = self.files.remove_stale(&source.name, &BTreeMap::new())?;
        Ok(told)
    }

    /// What is there from before, if that is what would be made, and all of it is there.
    fn unchanged(
        &self,
        source: &Source,
        content: &str,
        inputs: &str,
    ) -> Result<Option<PreparedPicture>, PrepareError> {
        let recorded = self.record.of(&source.name);
        let made = recorded
            .filter(|recorded| recorded.content == content && !self.options.force)
            .and_then(|recorded| recorded.made)
            .filter(|made| made.inputs == inputs);
        let Some(made) = made else {
            return Ok(None);
        };
        let mut told = blank(source, PreparedState::Unchanged);
        for (name, digest) in &made.files {
            match self.files.there(name, digest)? {
                There::Same => {}
                There::Edited => told.left.push(name.clone()),
                There::Nothing | There::Ours | There::Foreign => return Ok(None),
            }
        }
        let (removed, left) = self.files.remove_stale(&source.name, &made.files)?;
        told.removed = removed;
        told.left.extend(left);
        told.cut = Some(made.cut);
        Ok(Some(told))
    }

    fn cut(
        &self,
        source: &Source,
        shown: Shown,
        content: &str,
        inputs: &str,
        survey: &Survey,
        carried: Carried,
    ) -> Result<PreparedPicture, Halt> {
        let region = self.region(source, survey.size)?;
        let Planned::Cut(fit) = self.planner.plan((region.width, region.height)).planned else {
            return Err(Halt::Picture(format!(
                "{}: is too small",
                source.image.display()
            )));
        };
        let (corner, method) = self.corner(source, &shown.picture, region, &fit)?;
        let extension = self.options.format.extension();
        let cut = Cut {
            frame: shown_frame(region, &fit, corner),
            method,
            size: (fit.bucket.width, fit.bucket.height),
            file: format!("{}.{extension}", source.stem),
        };
        let mask = both(shown.opacity, mask(source, survey.size)?);
        let cut_out = |picture| cut_out(picture, region, &fit, corner);
        let mask = mask.map(|mask| cut_out(mask.into())).transpose()?;
        let picture = cut_out(shown.picture)?;
        // Captions and masks come first: a picture is never without them.
        let captions = carried.captions.into_iter();
        let mut files: Vec<OutFile> = captions
            .map(|(name, bytes)| OutFile { name, bytes })
            .collect();
        if let Some(mask) = mask {
            files.push(OutFile {
                name: format!("{}-masklabel.png", source.stem),
                bytes: encode(&mask, OutputFormat::Png)?,
            });
        }
        files.push(OutFile {
            name: cut.file.clone(),
            bytes: encode(&picture, self.options.format)?,
        });
        if self.options.wants_thumbnails() {
            let after = self.thumbnails.after(inputs);
            self.thumbnails.write(&after, &small_copy(&picture)?)?;
        }
        let digests = files
            .iter()
            .map(|file| (file.name.clone(), hexadecimal(&bytes_hash(&file.bytes))));
        let recorded = Recorded {
            picture: source.name.clone(),
            content: content.to_owned(),
            survey: survey.clone(),
            made: Some(Made {
                inputs: inputs.to_owned(),
                cut: cut.clone(),
                files: digests.collect(),
            }),
        };
        let mut told = self.put(source, &files, recorded)?;
        told.cut = Some(cut);
        Ok(told)
    }

    /// The part of a picture that a box leaves of it; all of it where there is none.
    fn region(&self, source: &Source, size: (u32, u32)) -> Result<CropFrame, String> {
        let whole = CropFrame {
            left: 0,
            top: 0,
            width: size.0,
            height: size.1,
        };
        let Some(region) = self.boxes.of(&source.name) else {
            return Ok(whole);
        };
        let ends = |start: u32, length: u32| u64::from(start) + u64::from(length);
        let (right, bottom) = (
            ends(region.left, region.width),
            ends(region.top, region.height),
        );
        if right > u64::from(size.0) || bottom > u64::from(size.1) {
            return Err(format!(
                "{}: its box reaches to {right}, {bottom}, but the picture is {}×{}",
                source.image.display(),
                size.0,
                size.1
            ));
        }
        Ok(region)
    }

    /// The corner of what is cut out, in pixels after resizing, and how it was chosen.
    fn corner(
        &self,
        source: &Source,
        picture: &DynamicImage,
        region: CropFrame,
        fit: &Fit,
    ) -> Result<((u32, u32), CutMethod), String> {
        if self.boxes.of(&source.name).is_some() {
            return Ok((centre(fit), CutMethod::Box));
        }
        if over(fit) == (0, 0) {
            return Ok(((0, 0), CutMethod::Whole));
        }
        let smart = || Interest::of(small_copy(picture)?).map(|interest| interest.best_corner(fit));
        match (self.options.crop, self.finder, picture.as_rgb8()) {
            (CropMode::Face, Some(finder), Some(pixels)) => {
                let faces = finder
                    .find(pixels)
                    .map_err(|error| format!("{}: {error}", source.image.display()))?;
                match around_faces(&faces, (region.width, region.height), fit) {
                    Some((corner, faces)) => Ok((corner, CutMethod::Face { faces })),
                    None => Ok((smart()?, CutMethod::SmartWithoutFace)),
                }
            }
            (CropMode::Smart | CropMode::Face, ..) => Ok((smart()?, CutMethod::Smart)),
            (CropMode::Centre | CropMode::None, ..) => Ok((centre(fit), CutMethod::Centre)),
        }
    }

    /// Writes the files of a picture, after it is on the record that they are ours.
    fn put(
        &self,
        source: &Source,
        files: &[OutFile],
        recorded: Recorded,
    ) -> Result<PreparedPicture, Halt> {
        let digests = recorded.made.as_ref().map(|made| made.files.clone());
        let digests = digests.unwrap_or_default();
        let mut told = blank(source, PreparedState::Unchanged);
        let mut to_write = Vec::new();
        for file in files {
            let there = self.files.there(&file.name, &digests[&file.name])?;
            match there {
                There::Same => {}
                There::Edited if !self.files.force => told.left.push(file.name.clone()),
                There::Foreign if !self.files.force => {
                    return Err(Halt::Picture(format!(
                        "{}: is there and was not made by lora prepare; remove it, choose another out folder, or \
                         replace it with --force",
                        self.files.folder.join(&file.name).display()
                    )));
                }
                _ => to_write.push(file),
            }
        }
        self.record.add(recorded)?;
        for file in to_write {
            self.files.write(&file.name, &file.bytes)?;
            told.state = PreparedState::Written;
        }
        let (removed, left) = self.files.remove_stale(&source.name, &digests)?;
        told.removed = removed;
        told.left.extend(left);
        Ok(told)
    }

    /// Where the thumbnails of these pictures are.
    pub(super) fn thumbnails_of(pictures: &[PreparedPicture]) -> BTreeSet<PathBuf> {
        let paths = pictures.iter().flat_map(|one| [&one.before, &one.after]);
        paths.flatten().cloned().collect()
    }
}

/// The SHA-256 of a picture's file.
fn content(source: &Source) -> Result<String, String> {
    if !source.has_unicode_name {
        return Err(format!(
            "{}: its name is not Unicode; rename it",
            source.image.display()
        ));
    }
    if !source.image.is_file() {
        // Tells what it is, and does not wait for a pipe.
        dimensions(&source.image, &PictureLimits::default()).map_err(|error| error.to_string())?;
    }
    let hash = file_hash(&source.image)
        .map_err(|cause| format!("{}: cannot be read: {cause}", source.image.display()))?;
    Ok(hexadecimal(&hash))
}

fn size(picture: &DynamicImage) -> (u32, u32) {
    (picture.width(), picture.height())
}

/// A picture or mask cut out of its region.
fn cut_out(
    picture: DynamicImage,
    region: CropFrame,
    fit: &Fit,
    corner: (u32, u32),
) -> Result<DynamicImage, String> {
    let CropFrame {
        left,
        top,
        width,
        height,
    } = region;
    let picture = if (width, height) == size(&picture) {
        picture
    } else {
        picture.crop_imm(left, top, width, height)
    };
    cover_crop_at(picture, fit, corner).map_err(|error| error.to_string())
}

/// Where either mask says that the loss does not count, it does not.
fn both(one: Option<GrayImage>, other: Option<GrayImage>) -> Option<GrayImage> {
    match (one, other) {
        (Some(mut one), Some(other)) => {
            for (pixel, other) in one.pixels_mut().zip(other.pixels()) {
                pixel.0[0] = pixel.0[0].min(other.0[0]);
            }
            Some(one)
        }
        (one, other) => one.or(other),
    }
}

fn blank(source: &Source, state: PreparedState) -> PreparedPicture {
    PreparedPicture {
        picture: source.name.clone(),
        state,
        survey: None,
        small: false,
        blurred: false,
        cut: None,
        removed: Vec::new(),
        left: Vec::new(),
        before: None,
        after: None,
    }
}
