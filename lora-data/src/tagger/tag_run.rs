use std::{
    collections::BTreeMap,
    io::Write,
    num::NonZeroUsize,
    ops::ControlFlow,
    path::Path,
    sync::mpsc::{Receiver, sync_channel},
    thread,
};

use atomic_file::write_atomically;

use super::{
    CaptionMode, FailedPicture, Outcome, ScoredTag, TagConfig, TagCount, TagError, TagEvent,
    TagReport, TaggedPicture, Tagger,
    tag_folder::{PictureToTag, pictures_to_tag},
    tag_journal::TagJournal,
    tag_workers::{Answer, BatchAnswers, TagWorkers},
};
use crate::{caption_file::CaptionFile, caption_text::CaptionText};

/// Tagging a folder of pictures.
///
/// A run that was stopped goes on when it is started again: where captions are kept, because those it wrote are kept
/// too; in other modes, because until a run comes to its end a hidden file in the folder says what is done.
#[derive(Clone, Copy)]
pub struct TagRun<'a> {
    /// The tagger.
    pub tagger: &'a dyn Tagger,
    /// What to do.
    pub config: &'a TagConfig,
    /// How many pictures are worked on at the same time, or as many batches, where the tagger takes several at once.
    pub threads: NonZeroUsize,
    /// Whether nothing is written.
    pub dry_run: bool,
}

impl TagRun<'_> {
    /// Tags the pictures of `folder`; `on_event` hears of each, and breaks to stop the run.
    ///
    /// Captions are written one after the other in the order of the pictures' names, whole or not at all.
    ///
    /// # Errors
    /// When a setting is out of range, the folder cannot be listed or has no pictures, the tagger fails, or a caption
    /// cannot be written. A picture that is broken, or whose caption is not UTF-8, is no error of the run: it is in the
    /// report, and the others go on.
    pub fn run(
        &self,
        folder: &Path,
        on_event: impl FnMut(&TagEvent<'_>) -> ControlFlow<()>,
    ) -> Result<TagReport, TagError> {
        self.config.check()?;
        let extensions = self.config.extensions();
        let (pictures, notes) = pictures_to_tag(folder, self.config.recursive, &extensions)?;
        let journal = self.journal(folder);
        let is_done = |one: &PictureToTag| {
            journal
                .as_ref()
                .is_some_and(|journal| journal.is_done(&one.image))
        };
        let all = pictures.len();
        let pictures: Vec<PictureToTag> =
            pictures.into_iter().filter(|one| !is_done(one)).collect();
        let done_before = all - pictures.len();
        let (kept, to_tag): (Vec<PictureToTag>, Vec<PictureToTag>) =
            pictures.into_iter().partition(|one| self.is_kept(one));
        let mut progress = Progress {
            run: self,
            on_event,
            journal,
            counts: BTreeMap::new(),
            report: TagReport {
                kept: kept.len(),
                done_before,
                left: to_tag.len(),
                ..TagReport::default()
            },
        };
        let started = TagEvent::Started {
            to_tag: to_tag.len(),
            kept: kept.len(),
            done_before,
            notes: &notes,
        };
        if (progress.on_event)(&started).is_break() {
            return progress.finish();
        }
        let result = self.tag(&to_tag, &mut progress);
        let report = progress.finish();
        result.and(report)
    }

    /// Where existing captions are kept, they are the journal.
    fn journal(&self, folder: &Path) -> Option<TagJournal> {
        if self.dry_run || self.config.mode == CaptionMode::Skip {
            return None;
        }
        let settings = serde_json::to_string(self.config).unwrap_or_default();
        let settings = format!("{}: {settings}", self.tagger.identity());
        Some(TagJournal::open(folder, settings))
    }

    /// A file without words is no caption; one that cannot be read is somebody's, and stays.
    fn is_kept(&self, picture: &PictureToTag) -> bool {
        self.config.mode == CaptionMode::Skip
            && picture.has_file
            && CaptionFile::read(&picture.caption_file, false)
                .map_or(true, |file| !file.caption.is_empty())
    }

    /// Lets threads work on the pictures and takes their answers in order.
    fn tag(
        &self,
        pictures: &[PictureToTag],
        progress: &mut Progress<'_, impl FnMut(&TagEvent<'_>) -> ControlFlow<()>>,
    ) -> Result<(), TagError> {
        let images: Vec<&Path> = pictures.iter().map(|one| one.image.as_path()).collect();
        let workers = TagWorkers::new(self.tagger, &images, |probabilities| {
            self.pick(probabilities)
        });
        let threads = self.threads.get().min(images.len()).max(1);
        thread::scope(|scope| {
            let (sender, receiver) = sync_channel(threads);
            for _ in 0..threads {
                let (workers, sender) = (&workers, sender.clone());
                scope.spawn(move || workers.work(&sender));
            }
            drop(sender);
            // Returning drops the receiver, at which the threads end.
            in_order(receiver, |index, answer| {
                progress.take(&pictures[index], answer)
            })
        })
    }

    fn pick(&self, probabilities: &[f32]) -> Vec<ScoredTag> {
        let TagConfig {
            selection, wording, ..
        } = self.config;
        wording.word(selection.select(self.tagger.tags(), probabilities))
    }
}

/// Hands on answers in the order of their pictures, until told to stop or the tagger fails.
fn in_order(
    receiver: Receiver<BatchAnswers>,
    mut take: impl FnMut(usize, Answer) -> Result<ControlFlow<()>, TagError>,
) -> Result<(), TagError> {
    let mut early: BTreeMap<usize, Vec<Answer>> = BTreeMap::new();
    let mut next = 0;
    for BatchAnswers { first, answers } in receiver {
        early.insert(first, answers?);
        while let Some(answers) = early.remove(&next) {
            for answer in answers {
                if take(next, answer)?.is_break() {
                    return Ok(());
                }
                next += 1;
            }
        }
    }
    Ok(())
}

/// What a run has done so far.
struct Progress<'a, F> {
    run: &'a TagRun<'a>,
    on_event: F,
    journal: Option<TagJournal>,
    counts: BTreeMap<String, usize>,
    report: TagReport,
}

impl<F: FnMut(&TagEvent<'_>) -> ControlFlow<()>> Progress<'_, F> {
    fn take(
        &mut self,
        picture: &PictureToTag,
        answer: Answer,
    ) -> Result<ControlFlow<()>, TagError> {
        let tagged = match answer {
            Ok(tags) => self.write(picture, tags)?,
            Err(problem) => Err(problem),
        };
        self.report.left -= 1;
        match tagged {
            Ok(tagged) => {
                self.count(&tagged);
                if let Some(journal) = &mut self.journal {
                    journal.note_done(&tagged.picture)?;
                }
                Ok((self.on_event)(&TagEvent::Tagged(&tagged)))
            }
            Err(problem) => {
                let failed = FailedPicture {
                    picture: picture.image.clone(),
                    problem,
                };
                let flow = (self.on_event)(&TagEvent::Failed(&failed));
                self.report.failed.push(failed);
                Ok(flow)
            }
        }
    }

    /// Writes the caption, or says what is wrong with the one that is there.
    fn write(
        &self,
        picture: &PictureToTag,
        tags: Vec<ScoredTag>,
    ) -> Result<Result<TaggedPicture, String>, TagError> {
        let TagConfig { mode, wording, .. } = self.run.config;
        let is_replaced = *mode == CaptionMode::Overwrite || !picture.has_file;
        let text = if is_replaced {
            CaptionText::default()
        } else {
            match CaptionText::read(&picture.caption_file) {
                Ok(text) => text,
                Err(problem) => return Ok(Err(problem.to_string())),
            }
        };
        let caption = mode.merged(&text.caption, &tags, wording);
        let outcome = if caption.is_empty() {
            Outcome::NothingToWrite
        } else if caption == text.caption {
            Outcome::Unchanged
        } else {
            Outcome::Written
        };
        if outcome == Outcome::Written && !self.run.dry_run {
            let bytes = text.with(&caption);
            write_atomically(&picture.caption_file, |file| {
                file.write_all(bytes.as_bytes())
            })?;
        }
        Ok(Ok(TaggedPicture {
            picture: picture.image.clone(),
            caption_file: picture.caption_file.clone(),
            outcome,
            caption,
            tags,
        }))
    }

    fn count(&mut self, tagged: &TaggedPicture) {
        match tagged.outcome {
            Outcome::Written => self.report.written += 1,
            Outcome::Unchanged => self.report.unchanged += 1,
            Outcome::NothingToWrite => self.report.nothing_to_write += 1,
        }
        if tagged.tags.is_empty() {
            self.report.without_tags.push(tagged.picture.clone());
        }
        for tag in &tagged.tags {
            *self.counts.entry(tag.name.clone()).or_default() += 1;
        }
    }

    /// # Errors
    /// When the journal of an unfinished run cannot be written.
    fn finish(mut self) -> Result<TagReport, TagError> {
        if let Some(mut journal) = self.journal {
            if self.report.left == 0 {
                journal.finish();
            } else {
                journal.save()?;
            }
        }
        let counts = self.counts.into_iter();
        let mut frequent: Vec<TagCount> = counts
            .map(|(tag, pictures)| TagCount { tag, pictures })
            .collect();
        frequent.sort_by(|a, b| b.pictures.cmp(&a.pictures).then_with(|| a.tag.cmp(&b.tag)));
        self.report.frequent = frequent;
        Ok(self.report)
    }
}
