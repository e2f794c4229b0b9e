use std::{
    path::Path,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::SyncSender,
    },
};

use super::{ScoredTag, Tagger, TaggerError};
use crate::picture_file;

/// The tags of a picture, or what is wrong with the picture.
pub(super) type Answer = Result<Vec<ScoredTag>, String>;

/// The answers to a batch of pictures, the first of which has that number.
pub(super) struct BatchAnswers {
    pub(super) first: usize,
    pub(super) answers: Result<Vec<Answer>, TaggerError>,
}

/// Pictures to be worked through by several threads, a batch each at a time.
///
/// A thread has one decoded picture and the inputs of one batch, so that the memory needed does not depend on how many
/// pictures there are. While one thread decodes, others compute.
pub(super) struct TagWorkers<'a, F> {
    tagger: &'a dyn Tagger,
    images: &'a [&'a Path],
    /// The tags that count, of all probabilities.
    pick: F,
    next: AtomicUsize,
}

impl<'a, F: Fn(&[f32]) -> Vec<ScoredTag> + Sync> TagWorkers<'a, F> {
    pub(super) fn new(tagger: &'a dyn Tagger, images: &'a [&'a Path], pick: F) -> Self {
        Self {
            tagger,
            images,
            pick,
            next: AtomicUsize::new(0),
        }
    }

    /// Takes batches until there are none, the tagger fails, or nobody listens.
    pub(super) fn work(&self, answers: &SyncSender<BatchAnswers>) {
        let batch = self.tagger.batch().max(1);
        loop {
            let first = self.next.fetch_add(batch, Ordering::Relaxed);
            let Some(images) = self.images.get(first..) else {
                return;
            };
            let images = &images[..batch.min(images.len())];
            if images.is_empty() {
                return;
            }
            let message = BatchAnswers {
                first,
                answers: self.tag(images),
            };
            let has_failed = message.answers.is_err();
            if answers.send(message).is_err() || has_failed {
                return;
            }
        }
    }

    fn tag(&self, images: &[&Path]) -> Result<Vec<Answer>, TaggerError> {
        let mut inputs = Vec::new();
        let mut problems = Vec::new();
        for image in images {
            problems.push(self.add_input(image, &mut inputs).err());
        }
        let readable = problems.iter().filter(|problem| problem.is_none()).count();
        if readable == 0 {
            return Ok(problems.into_iter().flatten().map(Err).collect());
        }
        let probabilities = self.tagger.probabilities(&inputs, readable)?;
        let mut rows = probabilities.chunks(self.tagger.tags().tags().len());
        let answer = |problem: Option<String>| match problem {
            Some(problem) => Err(problem),
            None => Ok((self.pick)(rows.next().unwrap_or_default())),
        };
        Ok(problems.into_iter().map(answer).collect())
    }

    fn add_input(&self, image: &Path, inputs: &mut Vec<f32>) -> Result<(), String> {
        let picture = picture_file::decode(image).map_err(|error| error.to_string())?;
        let input = self.tagger.input(&picture);
        inputs.extend(input.map_err(|error| format!("{}: {error}", image.display()))?);
        Ok(())
    }
}
