use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use lora_data::tagger::{Outcome, TagEvent, TaggedPicture};
use lora_train::Handle;

use crate::{grid_progress::rate, printer::Printer, progress::clock};

/// Where nobody watches, tagging reports this often instead of drawing a bar.
const EVERY: Duration = Duration::from_secs(15);

/// Shows how far tagging has come, how fast it goes and how long it will take; in a dry run, what would be written.
#[derive(Debug)]
pub(crate) struct TagProgress<'a> {
    printer: &'a Printer,
    handle: &'a Handle,
    dry_run: bool,
    /// Whether pictures are kept for a document instead of told one by one.
    keeps: bool,
    pictures: Vec<TaggedPicture>,
    /// Begun when it is known how many pictures there are.
    counted: Option<Counted>,
}

#[derive(Debug)]
struct Counted {
    bar: ProgressBar,
    began: Instant,
    told: Instant,
    done: usize,
    total: usize,
}

impl<'a> TagProgress<'a> {
    /// Tagging goes on until `handle` is told to stop.
    pub(crate) fn new(
        printer: &'a Printer,
        handle: &'a Handle,
        dry_run: bool,
        keeps: bool,
    ) -> Self {
        Self {
            printer,
            handle,
            dry_run,
            keeps,
            pictures: Vec::new(),
            counted: None,
        }
    }

    /// The pictures that were kept.
    pub(crate) fn into_pictures(mut self) -> Vec<TaggedPicture> {
        std::mem::take(&mut self.pictures)
    }

    pub(crate) fn told(&mut self, event: &TagEvent<'_>) -> ControlFlow<()> {
        match event {
            TagEvent::Started { to_tag, notes, .. } => self.started(*to_tag, notes),
            TagEvent::Tagged(picture) => {
                if self.keeps {
                    self.pictures.push((*picture).clone());
                } else if self.dry_run {
                    self.printer.result(&picture_text(picture));
                }
                self.stepped();
            }
            TagEvent::Failed(failed) => {
                self.printer.note(&failed.problem);
                self.stepped();
            }
            _ => {}
        }
        if self.handle.is_stopping() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn started(&mut self, total: usize, notes: &[String]) {
        for note in notes {
            self.printer.note(note);
        }
        if total > 0 {
            let bar = self.printer.bar(total as u64, "pictures");
            bar.enable_steady_tick(Duration::from_millis(500));
            let now = Instant::now();
            self.counted = Some(Counted {
                bar,
                began: now,
                told: now,
                done: 0,
                total,
            });
        }
    }

    fn stepped(&mut self) {
        let Some(counted) = &mut self.counted else {
            return;
        };
        counted.done += 1;
        let each = counted.began.elapsed().as_secs_f64() / counted.done as f64;
        let left = Duration::from_secs_f64(each * (counted.total - counted.done) as f64);
        let state = format!("{}, {} left", rate(each), clock(left));
        counted.bar.set_position(counted.done as u64);
        counted.bar.set_message(format!(", {state}"));
        if !self.printer.shows_bars() && counted.told.elapsed() >= EVERY {
            counted.told = Instant::now();
            let (done, total) = (counted.done, counted.total);
            self.printer
                .note(&format!("picture {done}/{total}: {state}"));
        }
    }
}

impl Drop for TagProgress<'_> {
    fn drop(&mut self) {
        if let Some(counted) = &self.counted {
            counted.bar.finish_and_clear();
        }
    }
}

/// The tags of a picture with their probabilities, and its caption.
fn picture_text(picture: &TaggedPicture) -> String {
    let tags = picture.tags.iter();
    let tags: Vec<String> = tags
        .map(|tag| format!("{} {:.2}", tag.name, tag.probability))
        .collect();
    let caption = match picture.outcome {
        Outcome::Written => &picture.caption,
        Outcome::Unchanged => "stays as it is",
        Outcome::NothingToWrite => "nothing to write",
    };
    let (picture, file) = (picture.picture.display(), picture.caption_file.display());
    format!("{picture}: {}\n  {file}: {caption}", tags.join(", "))
}
