use std::{
    collections::{BTreeMap, HashMap, HashSet},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rayon::prelude::*;

use super::{
    FaceFolderReport, FacePicture, FaceSetError, FaceSetOptions, FaceSetProgress, FaceSetReport,
    face_folder::{FaceFolder, without_crops},
    record::FaceRecord,
    source::Source,
    work::Work,
};
use crate::{
    CaptionConfig, DatasetConfig, DatasetError, FolderConfig, Problem,
    concept::{Concept, concepts},
    faces::FaceFinder,
    findings::Findings,
    group::of_folder,
};

/// After so many pictures the record is written, so that a run that is killed loses little.
const PICTURES_A_RECORD: usize = 32;

/// The faces of a folder's pictures, to be cut out.
///
/// Crops of `10_sks dog` go to `10_sks dog_face` beside it, with a hidden record of what was written: the next run makes
/// only what has changed, replaces only what it wrote itself, and leaves out what was removed by hand. Pictures are only
/// read.
#[derive(Debug)]
pub struct FaceSet {
    options: FaceSetOptions,
    folders: Vec<FaceFolder>,
    sources: Vec<Source>,
    notes: Vec<String>,
}

impl FaceSet {
    /// Lists the pictures of `folder`: of itself, or of the `N_class` folders in it; folders of crops are passed over.
    ///
    /// # Errors
    /// When an option has a value that it cannot have, a folder cannot be listed or has no pictures, or the folders of
    /// crops that are there do not go with the options.
    pub fn open(folder: &Path, options: FaceSetOptions) -> Result<Self, FaceSetError> {
        options.check()?;
        let (concepts, notes) = listed(folder, &options)?;
        let folders = concepts
            .iter()
            .map(|concept| FaceFolder::of(concept, &options))
            .collect::<Result<Vec<_>, _>>()?;
        all_different(&folders)?;
        let sources = concepts
            .iter()
            .enumerate()
            .flat_map(|(index, concept)| Source::all_of(concept, index))
            .collect();
        Ok(Self {
            options,
            folders,
            sources,
            notes,
        })
    }

    /// How many pictures there are.
    pub fn pictures(&self) -> usize {
        self.sources.len()
    }

    /// What was inferred or passed over, one sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Cuts out the faces that `finder` finds, pictures in parallel; memory holds one picture for each thread. `told` is
    /// called after each picture, and may ask to stop: then pictures that have begun are finished.
    ///
    /// # Errors
    /// When something cannot be written. Pictures that cannot be read are part of the report.
    pub fn write(
        &self,
        finder: &dyn FaceFinder,
        told: &mut (dyn FnMut(FaceSetProgress) -> ControlFlow<()> + Send),
    ) -> Result<FaceSetReport, FaceSetError> {
        let settings = self.settings(finder);
        let stopped = AtomicBool::new(false);
        let progress = Mutex::new((0, told));
        let done = self.sources.par_iter().map(|source| {
            if stopped.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let picture = self.work(source, finder, &settings).run()?;
            let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
            let (done, told) = &mut *progress;
            *done += 1;
            let state = FaceSetProgress {
                done: *done,
                total: self.sources.len(),
                picture: &picture,
            };
            if told(state).is_break() {
                stopped.store(true, Ordering::Relaxed);
            }
            if *done % PICTURES_A_RECORD == 0 {
                self.write_records()?;
            }
            Ok(Some(picture))
        });
        let pictures = done.collect::<Result<Vec<Option<FacePicture>>, FaceSetError>>();
        // Also after an error: what was written is ours, and the next run should know.
        self.write_records()?;
        let pictures: Vec<FacePicture> = pictures?.into_iter().flatten().collect();
        Ok(self.report(pictures))
    }

    fn work<'a>(
        &'a self,
        source: &'a Source,
        finder: &'a dyn FaceFinder,
        settings: &'a str,
    ) -> Work<'a> {
        Work {
            source,
            folder: &self.folders[source.folder],
            finder,
            options: &self.options,
            settings,
        }
    }

    /// Everything besides picture and caption that crops depend on.
    fn settings(&self, finder: &dyn FaceFinder) -> String {
        // Plain numbers and text always serialise.
        let options = serde_json::to_string(&self.options).unwrap_or_default();
        format!("{}\n{options}", finder.fingerprint())
    }

    fn write_records(&self) -> Result<(), FaceSetError> {
        if self.options.dry_run {
            return Ok(());
        }
        self.folders.iter().try_for_each(FaceFolder::write_record)
    }

    fn report(&self, pictures: Vec<FacePicture>) -> FaceSetReport {
        let folder_of: HashMap<&Path, usize> = self
            .sources
            .iter()
            .map(|source| (source.image.as_path(), source.folder))
            .collect();
        let mut crops = vec![0; self.folders.len()];
        for picture in &pictures {
            let cropped = picture
                .faces
                .iter()
                .filter(|face| face.outcome.is_cropped());
            if let Some(&folder) = folder_of.get(picture.image.as_path()) {
                crops[folder] += cropped.count();
            }
        }
        let folders = self.folders.iter().zip(crops);
        let folders = folders.map(|(folder, crops)| FaceFolderReport {
            source: folder.source.clone(),
            path: folder.path.clone(),
            repeats: folder.repeats,
            crops,
        });
        FaceSetReport {
            folders: folders.collect(),
            stopped: pictures.len() < self.sources.len(),
            pictures,
            orphans: self.orphans(),
        }
    }

    /// Crops in the records whose picture is no longer listed.
    fn orphans(&self) -> Vec<PathBuf> {
        let listed: HashSet<(usize, &str)> = self
            .sources
            .iter()
            .map(|source| (source.folder, source.name.as_str()))
            .collect();
        let mut orphans = Vec::new();
        for (index, folder) in self.folders.iter().enumerate() {
            let record = folder.record();
            let pictures = record.pictures.iter();
            let gone = pictures.filter(|(name, _)| !listed.contains(&(index, name.as_str())));
            let crops = gone.flat_map(|(_, picture)| &picture.faces);
            let files = crops.filter_map(|face| face.file.as_ref());
            let paths = files.map(|name| folder.path.join(name));
            orphans.extend(paths.filter(|path| path.is_file()));
        }
        orphans
    }
}

/// The folders of pictures in `folder`, and what is to be told of them.
fn listed(
    folder: &Path,
    options: &FaceSetOptions,
) -> Result<(Vec<Concept>, Vec<String>), FaceSetError> {
    let mut findings = Findings::default();
    let caption = CaptionConfig {
        extensions: options.caption_extensions.clone(),
        ..CaptionConfig::default()
    };
    let config = DatasetConfig {
        caption,
        ..DatasetConfig::default()
    };
    let group = of_folder(&config, &FolderConfig::new(folder));
    let found = concepts(&group, &mut findings);
    let mut problems = findings.problems;
    problems.retain(|problem| !is_of_crops(problem));
    if !problems.is_empty() {
        return Err(DatasetError { problems }.into());
    }
    let (pictures, crops) = without_crops(found);
    if pictures.is_empty() {
        return Err(FaceSetError::OnlyFaces {
            folder: folder.into(),
        });
    }
    let mut notes = findings.notes;
    for crop in &crops {
        let about = format!("{}: ", crop.path.display());
        notes.retain(|note| !note.starts_with(&about));
        notes.push(format!("{about}passed over, for it holds crops"));
    }
    Ok((pictures, notes))
}

/// Whether a problem is a folder of crops from which all were removed.
fn is_of_crops(problem: &Problem) -> bool {
    matches!(problem, Problem::NoPictures { path, .. } if FaceRecord::is_in(path))
}

fn all_different(folders: &[FaceFolder]) -> Result<(), FaceSetError> {
    let mut seen: BTreeMap<&Path, &Path> = BTreeMap::new();
    for folder in folders {
        if let Some(first) = seen.insert(&folder.path, &folder.source) {
            return Err(FaceSetError::SameFolder {
                first: first.into(),
                second: folder.source.clone(),
                path: folder.path.clone(),
            });
        }
    }
    Ok(())
}
