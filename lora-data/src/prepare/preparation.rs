use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};

use super::{
    CropMode, DuplicateGroup, DuplicatePolicy, PrepareError, PrepareOptions, PreparePhase,
    PrepareProgress, PrepareReport, PreparedPicture, Survey,
    boxes::Boxes,
    cut_plan::CutPlanner,
    duplicates::{Looked, duplicate_groups},
    listing::{Source, sources},
    out_files::OutFiles,
    places::apart,
    record::Record,
    thumbnails::Thumbnails,
    work::Workshop,
};
use crate::{
    faces::FaceFinder,
    findings::Findings,
    folder_lock::{FolderLock, LockError},
};

/// The file in the out folder that a run holds.
const LOCK: &str = ".lora-prepare.lock";

/// A folder of pictures to be prepared.
#[derive(Debug)]
pub struct Preparation {
    input: PathBuf,
    output: PathBuf,
    options: PrepareOptions,
    boxes: Boxes,
    sources: Vec<Source>,
    notes: Vec<String>,
}

/// What is told on the way, and may ask to stop.
type Told<'a> = &'a mut (dyn FnMut(PrepareProgress<'_>) -> ControlFlow<()> + Send);

impl Preparation {
    /// Lists the pictures of `input`, or of the `N_class` folders in it; what is made of them is for `output`, in
    /// folders of the same names.
    ///
    /// # Errors
    /// When an option has a value that it cannot have, a folder cannot be listed or has no pictures, one folder lies in
    /// the other, two pictures would become one file, or the file of boxes cannot be used.
    pub fn open(
        input: &Path,
        output: &Path,
        options: PrepareOptions,
    ) -> Result<Self, PrepareError> {
        options.check()?;
        let (sources, mut notes) = sources(input, &options)?;
        apart(input, output)?;
        // A link in the out folder could lead back.
        let folders: BTreeSet<&str> = sources.iter().filter_map(Source::folder).collect();
        for folder in folders {
            apart(input, &output.join(folder))?;
        }
        let boxes = match &options.boxes {
            Some(path) => {
                let boxes = Boxes::read(path)?;
                let unmatched = boxes.unmatched(sources.iter().map(|source| source.name.as_str()));
                let mut findings = Findings::default();
                findings.note_names(path, "boxes of pictures that are not there", &unmatched);
                notes.extend(findings.notes);
                boxes
            }
            None => Boxes::default(),
        };
        Ok(Self {
            input: input.into(),
            output: output.into(),
            options,
            boxes,
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

    /// Whether the out folder has a record of an earlier run, and so is one of ours.
    pub fn has_run_before(&self) -> bool {
        Record::is_in(&self.output)
    }

    /// The right to write to the out folder, where anything is written.
    fn lock(&self) -> Result<Option<FolderLock>, PrepareError> {
        if self.options.dry_run {
            return Ok(None);
        }
        let lock = FolderLock::take(&self.output, LOCK).map_err(|error| match error {
            LockError::Held(by) => PrepareError::Locked {
                folder: self.output.clone(),
                by,
            },
            LockError::File(path, cause) => PrepareError::file(path, cause),
        })?;
        Ok(Some(lock))
    }

    /// Prepares the pictures, several at a time; memory holds one for each thread. `told` is called after each, and may
    /// ask to stop: then pictures that have begun are finished. `finder` is needed for [`CropMode::Face`].
    ///
    /// What comes out does not depend on the number of threads, nor on how often the run was stopped.
    ///
    /// # Errors
    /// When something cannot be written, or the record of an earlier run cannot be read. Pictures that cannot be read
    /// are part of the report.
    pub fn run(
        &self,
        finder: Option<&dyn FaceFinder>,
        told: Told<'_>,
    ) -> Result<PrepareReport, PrepareError> {
        let options = &self.options;
        if options.crop == CropMode::Face && finder.is_none() {
            return Err(PrepareError::Option {
                option: "crop",
                value: "face".to_owned(),
                expected: "a face finder to go with it".to_owned(),
            });
        }
        if !options.dry_run {
            fs::create_dir_all(&self.output)
                .map_err(|cause| PrepareError::file(&self.output, cause))?;
        }
        let _lock = self.lock()?;
        let record = Record::open(&self.output, !options.dry_run)?;
        let workshop = Workshop {
            options,
            planner: CutPlanner::new(options),
            boxes: &self.boxes,
            finder: finder.filter(|_| options.crop == CropMode::Face),
            settings: self.settings(finder),
            files: OutFiles {
                folder: &self.output,
                record: &record,
                force: options.force,
                dry_run: options.dry_run,
            },
            record: &record,
            thumbnails: Thumbnails::new(&self.output),
        };
        let course = Course {
            pool: self.pool()?,
            stopped: AtomicBool::new(false),
            told: Mutex::new(told),
            sources: &self.sources,
        };
        let report = self.work(&workshop, &course);
        let names: BTreeSet<&str> = self.sources.iter().map(|one| one.name.as_str()).collect();
        let left_over = report.and_then(|report| {
            let left_over = workshop.files.left_over(&names, options.prune)?;
            Ok((report, left_over))
        });
        // Also after an error: what was written is ours, and the next run should know.
        let is_there = |file: &String| self.output.join(file).is_file();
        let settled = record.settle(|recorded| {
            let files = recorded.made.iter().flat_map(|made| made.files.keys());
            names.contains(recorded.picture.as_str()) || files.into_iter().any(is_there)
        });
        let (mut report, (gone, pruned)) = left_over?;
        settled?;
        (report.gone, report.pruned) = (gone, pruned);
        if report.left == 0 && options.wants_thumbnails() {
            let wanted = Workshop::thumbnails_of(&report.pictures);
            workshop.thumbnails.keep(&wanted);
        }
        Ok(report)
    }

    fn work(
        &self,
        workshop: &Workshop<'_>,
        course: &Course<'_>,
    ) -> Result<PrepareReport, PrepareError> {
        let is_skipping = self.options.duplicates == DuplicatePolicy::Skip;
        let mut copies = BTreeMap::new();
        if is_skipping {
            let looked = course.each(PreparePhase::Looking, |source| workshop.look(source))?;
            // A copy is known only when all are known.
            if course.is_stopped() {
                return Ok(self.report(Vec::new(), Vec::new()));
            }
            let seen = self.sources.iter().zip(&looked);
            let seen = seen.filter_map(|(source, looked)| match looked {
                Some(Ok((content, survey))) => Some((source, content.as_str(), survey)),
                _ => None,
            });
            for group in self.groups(workshop, seen) {
                for copy in group.copies {
                    copies.insert(copy.picture, group.kept.clone());
                }
            }
        }
        let made = course.each(PreparePhase::Cutting, |source| {
            let original = copies.get(&source.name).map(String::as_str);
            workshop.make(source, original)
        })?;
        let made: Vec<(PreparedPicture, String)> = made.into_iter().flatten().collect();
        let by_name: BTreeMap<&str, &Source> = self
            .sources
            .iter()
            .map(|source| (source.name.as_str(), source))
            .collect();
        let seen = made.iter().filter_map(|(picture, content)| {
            let source = by_name.get(picture.picture.as_str())?;
            Some((*source, content.as_str(), picture.survey.as_ref()?))
        });
        let groups = self.groups(workshop, seen);
        let pictures = made.into_iter().map(|(picture, _)| picture).collect();
        Ok(self.report(pictures, groups))
    }

    fn groups<'a>(
        &self,
        workshop: &Workshop<'_>,
        seen: impl Iterator<Item = (&'a Source, &'a str, &'a Survey)>,
    ) -> Vec<DuplicateGroup> {
        let looked = seen.map(|(source, content, survey)| Looked {
            picture: &source.name,
            content,
            survey,
            is_out: workshop.reason_to_skip(source, survey).is_some(),
        });
        duplicate_groups(looked.collect(), self.options.near)
    }

    fn report(
        &self,
        pictures: Vec<PreparedPicture>,
        duplicates: Vec<DuplicateGroup>,
    ) -> PrepareReport {
        PrepareReport {
            input: self.input.clone(),
            output: self.output.clone(),
            left: self.sources.len() - pictures.len(),
            pictures,
            duplicates,
            gone: Vec::new(),
            pruned: Vec::new(),
        }
    }

    /// Everything besides picture, box, captions and mask that the files depend on.
    fn settings(&self, finder: Option<&dyn FaceFinder>) -> String {
        // Plain numbers and text always serialise.
        let options = serde_json::to_string(&self.options).unwrap_or_default();
        let finder = finder.filter(|_| self.options.crop == CropMode::Face);
        let finder = finder.map(FaceFinder::fingerprint).unwrap_or_default();
        format!("{options}\n{finder}")
    }

    fn pool(&self) -> Result<ThreadPool, PrepareError> {
        let threads = self.options.threads.map_or(0, Into::into);
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        pool.map_err(|error| PrepareError::Threads {
            reason: error.to_string(),
        })
    }
}

/// The pictures of a run, worked through by threads.
struct Course<'a> {
    pool: ThreadPool,
    stopped: AtomicBool,
    told: Mutex<Told<'a>>,
    sources: &'a [Source],
}

impl Course<'_> {
    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// What `work` gives for each picture; nothing for those that were not reached.
    ///
    /// # Errors
    /// The first of `work`'s.
    fn each<T: Send + PreparedOne>(
        &self,
        phase: PreparePhase,
        work: impl Fn(&Source) -> Result<T, PrepareError> + Sync,
    ) -> Result<Vec<Option<T>>, PrepareError> {
        let done = Mutex::new(0);
        let one = |source: &Source| {
            if self.is_stopped() {
                return Ok(None);
            }
            let outcome = work(source)?;
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            *done += 1;
            let progress = PrepareProgress {
                phase,
                done: *done,
                total: self.sources.len(),
                picture: outcome.picture(),
            };
            let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
            if told(progress).is_break() {
                self.stopped.store(true, Ordering::Relaxed);
            }
            Ok(Some(outcome))
        };
        // One picture to a task, so that threads keep near to one another and a run that was stopped has the first ones.
        self.pool.install(|| {
            let sources = self.sources.par_iter().with_max_len(1);
            sources.map(one).collect()
        })
    }
}

/// What is told of a picture when it is done.
trait PreparedOne {
    fn picture(&self) -> Option<&PreparedPicture>;
}

impl PreparedOne for (PreparedPicture, String) {
    fn picture(&self) -> Option<&PreparedPicture> {
        Some(&self.0)
    }
}

impl PreparedOne for Result<(String, Survey), String> {
    fn picture(&self) -> Option<&PreparedPicture> {
        None
    }
}
