use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::{FaceSetError, FaceSetOptions, record::FaceRecord};
use crate::{KohyaName, concept::Concept, findings::file_name};

/// What the class tokens of a folder of crops end in.
const SUFFIX: &str = "face";

/// A folder of crops, which may not be there yet.
#[derive(Debug)]
pub(super) struct FaceFolder {
    /// The folder of the pictures.
    pub(super) source: PathBuf,
    pub(super) path: PathBuf,
    pub(super) repeats: u32,
    record: Mutex<FaceRecord>,
}

impl FaceFolder {
    /// The folder for the crops of `concept`'s pictures: the one that is there, whatever its repeats, unless others are
    /// asked for; else a new one.
    ///
    /// # Errors
    /// When one with other repeats is there, or a record cannot be read.
    pub(super) fn of(concept: &Concept, options: &FaceSetOptions) -> Result<Self, FaceSetError> {
        let base = face_class(&concept.name);
        let parent = match &options.out {
            Some(out) => out.clone(),
            None => parent_of(&concept.path)?,
        };
        let found = existing(&parent, &base);
        let repeats = options.repeats.unwrap_or(concept.repeats.max(1));
        let wanted = parent.join(format!("{repeats}_{base}"));
        let (path, repeats) = match found.as_slice() {
            [] => (wanted, repeats),
            [(path, found)] if options.repeats.is_none() || *found == repeats => {
                (path.clone(), *found)
            }
            found => {
                let other = found.iter().find(|(_, found)| *found != repeats);
                return Err(FaceSetError::OtherRepeats {
                    found: other.map_or_else(|| wanted.clone(), |other| other.0.clone()),
                    wanted,
                });
            }
        };
        Ok(Self {
            source: concept.path.clone(),
            record: Mutex::new(FaceRecord::read(&path)?),
            path,
            repeats,
        })
    }

    pub(super) fn record(&self) -> MutexGuard<'_, FaceRecord> {
        // A record is changed in one step, so that one left by a panic is whole.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the record; where nothing was written to the folder, there is neither folder nor record.
    ///
    /// # Errors
    /// When it cannot be written, or one that is not needed any more not removed.
    pub(super) fn write_record(&self) -> Result<(), FaceSetError> {
        let record = self.record();
        if record.has_files() {
            return record.write(&self.path);
        }
        FaceRecord::remove(&self.path)
    }
}

/// Leaves out the folders that hold crops: those with a record, and those named as the crops of another.
pub(super) fn without_crops(concepts: Vec<Concept>) -> (Vec<Concept>, Vec<Concept>) {
    let named: Vec<String> = concepts
        .iter()
        .map(|concept| face_class(&concept.name))
        .collect();
    concepts.into_iter().partition(|concept| {
        !FaceRecord::is_in(&concept.path) && !named.contains(&class_of(&concept.name))
    })
}

/// `10_sks dog` → `sks dog_face`; `10_` → `face`; `photos` → `photos_face`.
fn face_class(folder: &str) -> String {
    match class_of(folder).as_str() {
        "" => SUFFIX.to_owned(),
        class => format!("{class}_{SUFFIX}"),
    }
}

fn class_of(folder: &str) -> String {
    match KohyaName::parse(folder) {
        Some(said) => said.class_tokens.unwrap_or_default(),
        None => folder.to_owned(),
    }
}

/// The folders in `parent` that hold crops of this class, with their repeats, sorted by name.
fn existing(parent: &Path, face_class: &str) -> Vec<(PathBuf, u32)> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(PathBuf, u32)> = entries
        .map(|entry| entry.path())
        .filter(|path| FaceRecord::is_in(path))
        .filter_map(|path| {
            let said = KohyaName::parse(&file_name(&path))?;
            (said.class_tokens.as_deref() == Some(face_class)).then_some((path, said.repeats))
        })
        .collect();
    found.sort();
    found
}

/// The folder that holds `path`, also for paths such as `.` that do not tell it.
fn parent_of(path: &Path) -> Result<PathBuf, FaceSetError> {
    if path.file_name().is_some() {
        return Ok(path.parent().unwrap_or(Path::new("")).to_owned());
    }
    let real = path.canonicalize().map_err(|cause| FaceSetError::File {
        path: path.into(),
        cause,
    })?;
    Ok(real.parent().unwrap_or(&real).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_of_crops() {
        for (folder, class) in [
            ("10_sks dog", "sks dog_face"),
            ("10_a_b", "a_b_face"),
            ("10_", "face"),
            ("photos", "photos_face"),
            ("512", "512_face"),
        ] {
            assert_eq!(face_class(folder), class);
        }
    }
}
