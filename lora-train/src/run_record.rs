use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    Comparison, Event, Outcome,
    picture::{ChoosingChart, FilmStrip, Frame, LossCurve},
};

/// The course of a run, gathered from its events: what the report at its end is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRecord {
    curve: LossCurve,
    /// What comparing the files of epochs told, by step.
    compared: Vec<(u64, Comparison)>,
    /// Preview files by step.
    previews: Vec<(u64, Vec<PathBuf>)>,
}

impl RunRecord {
    /// Takes note of an event.
    pub fn note(&mut self, event: &Event<'_>) {
        match *event {
            Event::Stepped(report) => {
                self.stepped(report.step, (report.loss, report.learning_rate));
            }
            Event::Measured { step, heldout_loss } => self.curve.heldout.push((step, heldout_loss)),
            Event::Compared { step, comparison } => self.compared.push((step, comparison.clone())),
            Event::Saved { step, path, .. } => self.saved(step, path),
            Event::Sampled { step, image, .. } => self.sampled(step, image.to_path_buf()),
            Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::RatesScaled { .. }
            | Event::Skipped(_)
            | Event::Started { .. }
            | Event::Cached { .. }
            | Event::Finished(_) => {}
        }
    }

    /// Takes note of all that a run's `metrics.jsonl` tells of the time before it went on. Lines that cannot be read are
    /// passed over, as are events of kinds that it does not know.
    pub fn note_log(&mut self, log: &str) {
        let events = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for event in events {
            let step = event["step"].as_u64();
            let number = |name: &str| event[name].as_f64();
            let path = |name: &str| event[name].as_str().map(PathBuf::from);
            match (event["event"].as_str(), step) {
                (Some("stepped"), Some(step)) => {
                    let told = number("loss").zip(number("learning_rate"));
                    self.stepped(step, told.unwrap_or_default());
                }
                (Some("measured"), Some(step)) => {
                    let loss = number("heldout_loss");
                    self.curve.heldout.extend(loss.map(|loss| (step, loss)));
                }
                (Some("compared"), Some(step)) => {
                    let comparison = Comparison::deserialize(&event).ok();
                    self.compared.extend(comparison.map(|told| (step, told)));
                }
                (Some("saved"), Some(step)) => {
                    path("path")
                        .map(|path| self.saved(step, &path))
                        .unwrap_or_default();
                }
                (Some("sampled"), Some(step)) => {
                    path("image")
                        .map(|image| self.sampled(step, image))
                        .unwrap_or_default();
                }
                _ => {}
            }
        }
    }

    fn stepped(&mut self, step: u64, (loss, learning_rate): (f64, f64)) {
        self.curve.points.push((step, loss));
        self.curve.learning_rate.push((step, learning_rate));
    }

    fn saved(&mut self, step: u64, path: &Path) {
        let name = path.file_stem().unwrap_or_default();
        let name = name.to_string_lossy().into_owned();
        // The last file has the contents of the last numbered one: one mark is enough.
        if self
            .curve
            .saved
            .last()
            .is_none_or(|(last, _)| *last != step)
        {
            self.curve.saved.push((step, name));
        }
    }

    fn sampled(&mut self, step: u64, image: PathBuf) {
        match self.previews.last_mut() {
            Some((last, images)) if *last == step => images.push(image),
            _ => self.previews.push((step, vec![image])),
        }
    }

    /// The loss over the steps.
    pub fn curve(&self) -> &LossCurve {
        &self.curve
    }

    /// What the files of epochs were measured by, over the steps; `None` where nothing was.
    pub fn choosing(&self, outcome: &Outcome) -> Option<ChoosingChart> {
        let chart = ChoosingChart {
            points: self.curve.points.clone(),
            heldout: self.curve.heldout.clone(),
            compared: self.compared.clone(),
            best: outcome.best_step(),
        };
        let is_measured = !chart.heldout.is_empty() || !chart.compared.is_empty();
        is_measured.then_some(chart)
    }

    /// Reads at most `most` of the previews back from their files, evenly spaced.
    ///
    /// # Errors
    /// A preview that is not there any more.
    pub fn film_strip(&self, most: usize) -> image::ImageResult<FilmStrip> {
        let blank = |(step, _): &(u64, Vec<PathBuf>)| Frame {
            step: *step,
            pictures: Vec::new(),
        };
        let mut strip = FilmStrip {
            frames: self.previews.iter().map(blank).collect(),
        }
        .thinned(most);
        for frame in &mut strip.frames {
            let images = self.previews.iter().filter(|(step, _)| *step == frame.step);
            for image in images.flat_map(|(_, images)| images) {
                frame.pictures.push(image::open(image)?.into_rgb8());
            }
        }
        Ok(strip)
    }
}

#[cfg(test)]
mod tests {
    use std::{path::Path, time::Duration};

    use image::RgbImage;

    use super::*;
    use crate::StepReport;

    #[test]
    fn events_become_curve_and_strip() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut record, mut log) = (RunRecord::default(), String::new());
        let mut note = |event: &Event<'_>| {
            record.note(event);
            log += &serde_json::to_string(event).expect("JSON");
            log.push('\n');
        };
        note(&Event::Measured {
            step: 0,
            heldout_loss: 0.2,
        });
        let comparison = Comparison {
            pictures: 8,
            similarity: 0.5,
            colours: 0.75,
            edges: 0.25,
            embedding: None,
            copy_distance: 0.5,
            copy_threshold: Some(0.25),
            copies: 1,
        };
        note(&Event::Compared {
            step: 10,
            comparison: &comparison,
        });
        let report = StepReport {
            step: 10,
            steps: 20,
            epoch: 1,
            loss: 0.1,
            smooth_loss: 0.12,
            grad_norm: 1.0,
            learning_rate: 1e-3,
            steps_per_second: 2.0,
            left: Duration::from_secs(5),
        };
        note(&Event::Stepped(&report));
        for name in ["a-000001.safetensors", "a.safetensors"] {
            note(&Event::Saved {
                step: 20,
                epoch: 1,
                path: Path::new(name),
            });
        }
        for step in [10, 20] {
            for prompt in 0..2 {
                let image = folder.path().join(format!("{step}-{prompt}.png"));
                RgbImage::new(4, 4).save(&image).expect("a picture");
                note(&Event::Sampled {
                    step,
                    prompt,
                    image: &image,
                });
            }
        }
        // A run that goes on knows what was before from its log, of which the last line may be torn.
        let mut again = RunRecord::default();
        again.note_log(&format!("{log}{{\"event\":\"step"));
        assert_eq!(again, record);
        assert_eq!(record.compared, [(10, comparison)]);
        let chart = record.choosing(&Outcome::default()).expect("measured");
        assert_eq!(
            (chart.heldout, chart.compared),
            (vec![(0, 0.2)], record.compared.clone())
        );
        assert_eq!(RunRecord::default().choosing(&Outcome::default()), None);
        assert_eq!(record.curve().points, [(10, 0.1)]);
        assert_eq!(record.curve().heldout, [(0, 0.2)]);
        assert_eq!(record.curve().saved, [(20, "a-000001".to_owned())]);
        let strip = record.film_strip(9).expect("read");
        let frames: Vec<_> = strip
            .frames
            .iter()
            .map(|frame| (frame.step, frame.pictures.len()))
            .collect();
        assert_eq!(frames, [(10, 2), (20, 2)]);
        assert_eq!(record.film_strip(1).expect("read").frames.len(), 1);
    }
}
