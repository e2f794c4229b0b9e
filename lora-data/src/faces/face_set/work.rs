use std::{io::Cursor, path::Path};

use image::{ImageFormat, RgbImage, imageops};

use super::{
    CropFrame, FaceOutcome, FacePicture, FaceSetError, FaceSetOptions, FoundFace, PictureOutcome,
    crop_files::{CropFiles, Put},
    face_folder::FaceFolder,
    record::RecordedPicture,
    source::Source,
};
use crate::{
    cover_crop::resize,
    faces::{FaceBox, FaceFinder},
    parts_digest::parts_digest,
    picture_file,
};

/// One picture's way from its file to its crops.
pub(super) struct Work<'a> {
    pub(super) source: &'a Source,
    pub(super) folder: &'a FaceFolder,
    pub(super) finder: &'a dyn FaceFinder,
    pub(super) options: &'a FaceSetOptions,
    /// Everything besides picture and caption that crops depend on.
    pub(super) settings: &'a str,
}

impl Work<'_> {
    /// Finds the faces, writes the crops and what the record says of the picture.
    ///
    /// # Errors
    /// When a file cannot be written; a picture that cannot be read is an outcome.
    pub(super) fn run(&self) -> Result<FacePicture, FaceSetError> {
        let (digest, caption) = match self.read() {
            Ok(read) => read,
            Err(reason) => return Ok(self.failed(reason)),
        };
        if let Some(recorded) = self.recorded(&digest) {
            return Ok(self.unchanged(recorded));
        }
        match self.found() {
            Ok((picture, faces)) => self.cut(&picture, faces, &caption, digest),
            Err(reason) => Ok(self.failed(reason)),
        }
    }

    /// The digest of all that the crops depend on, and the picture's caption.
    fn read(&self) -> Result<(String, String), String> {
        let caption = self.source.caption()?;
        let bytes = self.source.bytes()?;
        let digest = parts_digest(&[&bytes, caption.as_bytes(), self.settings.as_bytes()]);
        Ok((digest, caption))
    }

    fn recorded(&self, digest: &str) -> Option<RecordedPicture> {
        if self.options.force {
            return None;
        }
        let record = self.folder.record();
        let recorded = record.pictures.get(&self.source.name)?;
        // What was in the way may be gone.
        let was_blocked = |face: &FoundFace| face.outcome == FaceOutcome::InTheWay;
        let holds = recorded.digest == digest && !recorded.faces.iter().any(was_blocked);
        holds.then(|| recorded.clone())
    }

    /// The faces that are there from before. A crop that is not there was removed by hand.
    fn unchanged(&self, recorded: RecordedPicture) -> FacePicture {
        let mut faces = recorded.faces;
        for face in faces.iter_mut().filter(|face| face.outcome.is_cropped()) {
            let name = face.file.as_deref().unwrap_or_default();
            face.outcome = if self.folder.path.join(name).is_file() {
                FaceOutcome::Kept
            } else {
                FaceOutcome::RemovedByHand
            };
        }
        self.picture(PictureOutcome::Unchanged, faces)
    }

    fn failed(&self, reason: String) -> FacePicture {
        self.picture(PictureOutcome::Failed(reason), Vec::new())
    }

    fn picture(&self, outcome: PictureOutcome, faces: Vec<FoundFace>) -> FacePicture {
        FacePicture {
            image: self.source.image.clone(),
            outcome,
            faces,
            removed: Vec::new(),
            left: Vec::new(),
        }
    }

    /// The decoded picture and its faces, the largest first.
    fn found(&self) -> Result<(RgbImage, Vec<FaceBox>), String> {
        let image = &self.source.image;
        let picture = picture_file::decode(image).map_err(|error| error.to_string())?;
        let mut faces = self
            .finder
            .find(&picture)
            .map_err(|error| format!("{}: {error}", image.display()))?;
        faces.sort_by(|a, b| {
            let by_area = b.area().total_cmp(&a.area());
            by_area.then(b.score.total_cmp(&a.score))
        });
        Ok((picture, faces))
    }

    fn cut(
        &self,
        picture: &RgbImage,
        faces: Vec<FaceBox>,
        caption: &str,
        digest: String,
    ) -> Result<FacePicture, FaceSetError> {
        let name = &self.source.name;
        let before = self.folder.record().pictures.get(name).cloned();
        let before = before.map(|recorded| recorded.files).unwrap_or_default();
        let FaceSetOptions { force, dry_run, .. } = *self.options;
        let mut files = CropFiles::new(&self.folder.path, before, force, dry_run);
        let mut told = self.picture(PictureOutcome::Searched, Vec::new());
        let mut cropped = 0;
        for face in faces {
            let mut found = self.judged(face, picture.dimensions(), cropped);
            if found.outcome == FaceOutcome::Written {
                cropped += 1;
                self.write_crop(picture, &mut found, cropped, caption, &mut files)?;
            }
            told.faces.push(found);
        }
        told.removed = files.remove_stale()?;
        told.left = files.left;
        if !dry_run {
            let recorded = RecordedPicture {
                digest,
                faces: told.faces.clone(),
                files: files.now,
            };
            let mut record = self.folder.record();
            record.pictures.insert(name.clone(), recorded);
        }
        Ok(told)
    }

    /// Whether a face gets a crop after `cropped` others, and of what.
    fn judged(&self, face: FaceBox, picture: (u32, u32), cropped: usize) -> FoundFace {
        let options = self.options;
        let frame = CropFrame::around(&face, picture, options.margin, options.aspect);
        let outcome = match frame {
            None => FaceOutcome::TooSmall,
            Some(_) if face.width.min(face.height) < options.min_size as f32 => {
                FaceOutcome::TooSmall
            }
            Some(frame) if frame.share_of(picture) > f64::from(options.max_share) => {
                FaceOutcome::FillsPicture
            }
            Some(_) if options.most.is_some_and(|most| cropped >= most) => FaceOutcome::BeyondMost,
            Some(_) => FaceOutcome::Written,
        };
        FoundFace {
            face,
            outcome,
            frame: frame.filter(|_| outcome == FaceOutcome::Written),
            size: None,
            file: None,
            caption: None,
        }
    }

    /// Writes the crop with this number, from 1, and its caption. The caption comes first: a crop is never without it.
    fn write_crop(
        &self,
        picture: &RgbImage,
        found: &mut FoundFace,
        number: usize,
        caption: &str,
        files: &mut CropFiles,
    ) -> Result<(), FaceSetError> {
        let Some(frame) = found.frame else {
            return Ok(());
        };
        let name = self.source.crop_name(number);
        let path = self.folder.path.join(&name);
        let (png, size) = self.png(picture, frame, &path)?;
        let caption = self.options.caption.of(caption);
        if !caption.is_empty() {
            let extension = self
                .source
                .caption_extension(&self.options.caption_extensions);
            let caption_name = Path::new(&name).with_extension(extension);
            files.put(
                &caption_name.to_string_lossy(),
                format!("{caption}\n").as_bytes(),
            )?;
            found.caption = Some(caption);
        }
        found.outcome = match files.put(&name, &png)? {
            Put::Written => FaceOutcome::Written,
            Put::Same => FaceOutcome::Kept,
            Put::Left => FaceOutcome::InTheWay,
        };
        found.size = Some(size);
        found.file = Some(name);
        Ok(())
    }

    /// The crop as a PNG file's bytes, and its size.
    fn png(
        &self,
        picture: &RgbImage,
        frame: CropFrame,
        path: &Path,
    ) -> Result<(Vec<u8>, (u32, u32)), FaceSetError> {
        let failed = |reason: String| FaceSetError::Crop {
            path: path.into(),
            reason,
        };
        let CropFrame {
            left,
            top,
            width,
            height,
        } = frame;
        let mut crop = imageops::crop_imm(picture, left, top, width, height).to_image();
        if let Some(size) = self.options.size {
            let is_larger = width > size.width || height > size.height;
            if (is_larger || self.options.enlarge) && (width, height) != (size.width, size.height) {
                let resized = resize(crop, (size.width, size.height));
                crop = resized.map_err(|error| failed(error.to_string()))?;
            }
        }
        let mut bytes = Cursor::new(Vec::new());
        crop.write_to(&mut bytes, ImageFormat::Png)
            .map_err(|error| failed(error.to_string()))?;
        Ok((bytes.into_inner(), crop.dimensions()))
    }
}
