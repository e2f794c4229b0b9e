use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    BadStep, Comparison, Event, Outcome, RunOrigin, StepReport,
    picture::{ChoosingChart, FilmStrip, Frame, LossCurve, TimestepChart},
    run_folder::PREVIEWS,
};

/// The course of a run, gathered from its events: what the report at its end is made of.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunRecord {
    origin: Option<RunOrigin>,
    curve: LossCurve,
    /// What comparing the files of epochs told, by step.
    compared: Vec<(u64, Comparison)>,
    by_timestep: TimestepChart,
    /// Steps whose numbers went wrong.
    bad: Vec<BadStep>,
    files: Vec<SavedFile>,
    /// Preview files by step.
    previews: Vec<(u64, Vec<PathBuf>)>,
    last: Option<StepReport>,
    /// Pictures shown, a picture counting each time.
    shown: f64,
    peak_resident: Option<u64>,
}

/// A LoRA file that the run wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SavedFile {
    /// Steps done by then.
    pub step: u64,
    /// Its name in the run folder.
    pub name: PathBuf,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

impl RunRecord {
    /// Takes note of an event.
    pub fn note(&mut self, event: &Event<'_>) {
        match *event {
            Event::Started { origin, .. } => self.origin = Some(origin.clone()),
            Event::Stepped(report) => self.stepped(report.clone()),
            Event::Skipped(bad) => self.bad.push(bad.clone()),
            Event::Measured { step, heldout_loss } => self.curve.heldout.push((step, heldout_loss)),
            Event::Compared { step, comparison } => self.compared.push((step, comparison.clone())),
            Event::Saved {
                step, path, sha256, ..
            } => self.saved(step, path, sha256),
            Event::Sampled { step, image, .. } => self.sampled(step, image.to_path_buf()),
            Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::RatesScaled { .. }
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
            // What cannot be read is passed over.
            let _ = self.note_value(&event);
        }
    }

    fn note_value(&mut self, event: &Value) -> Option<()> {
        let step = event["step"].as_u64();
        let text = |name: &str| event[name].as_str();
        match text("event")? {
            "started" => self.origin = Some(RunOrigin::deserialize(&event["origin"]).ok()?),
            "stepped" => self.stepped(StepReport::deserialize(event).ok()?),
            "skipped" => self.bad.push(BadStep::deserialize(event).ok()?),
            "measured" => {
                let loss = event["heldout_loss"].as_f64()?;
                self.curve.heldout.push((step?, loss));
            }
            "compared" => {
                let comparison = Comparison::deserialize(event).ok()?;
                self.compared.push((step?, comparison));
            }
            "saved" => self.saved(step?, Path::new(text("path")?), text("sha256")?),
            "sampled" => self.sampled(step?, text("image")?.into()),
            _ => {}
        }
        Some(())
    }

    fn stepped(&mut self, report: StepReport) {
        let step = report.step;
        let before = self.last.as_ref().map_or(0, |report| report.step);
        let taken = step.saturating_sub(before) as f64;
        if report.steps_per_second > 0.0 {
            self.shown += taken * report.pictures_per_second / report.steps_per_second;
        }
        self.peak_resident = self.peak_resident.max(report.peak_resident_bytes);
        self.curve.points.push((step, report.loss));
        let balanced = report.balanced_loss.map(|loss| (step, loss));
        self.curve.balanced.extend(balanced);
        self.curve.learning_rate.push((step, report.learning_rate));
        self.by_timestep.note(step, report.loss_by_timestep);
        self.last = Some(report);
    }

    fn saved(&mut self, step: u64, path: &Path, sha256: &str) {
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
        let name = PathBuf::from(path.file_name().unwrap_or(path.as_os_str()));
        self.files.retain(|file| file.name != name);
        self.files.push(SavedFile {
            step,
            name,
            sha256: sha256.to_owned(),
        });
    }

    fn sampled(&mut self, step: u64, image: PathBuf) {
        match self.previews.last_mut() {
            Some((last, images)) if *last == step => images.push(image),
            _ => self.previews.push((step, vec![image])),
        }
    }

    /// What the run is made from, and where.
    pub fn origin(&self) -> Option<&RunOrigin> {
        self.origin.as_ref()
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

    /// The loss of each stretch of timesteps over the steps.
    pub fn by_timestep(&self) -> &TimestepChart {
        &self.by_timestep
    }

    /// The steps whose numbers went wrong.
    pub fn bad_steps(&self) -> &[BadStep] {
        &self.bad
    }

    /// The files that were saved, each as it was at last.
    pub fn files(&self) -> &[SavedFile] {
        &self.files
    }

    /// The last report.
    pub fn last_report(&self) -> Option<&StepReport> {
        self.last.as_ref()
    }

    /// Pictures shown in all steps that were reported, a picture counting each time.
    pub fn pictures_shown(&self) -> f64 {
        self.shown
    }

    /// The most memory of the host that the process had, in bytes, where the system tells it.
    pub fn peak_resident(&self) -> Option<u64> {
        self.peak_resident
    }

    /// Reads at most `most` of the previews back from a run folder, evenly spaced; steps of which one cannot be read are left out.
    pub fn film_strip(&self, folder: &Path, most: usize) -> FilmStrip {
        let blank = |(step, _): &(u64, Vec<PathBuf>)| Frame {
            step: *step,
            pictures: Vec::new(),
        };
        let mut strip = FilmStrip {
            frames: self.previews.iter().map(blank).collect(),
            ..FilmStrip::default()
        }
        .thinned(most);
        let read = |image: &PathBuf| {
            // The log may have been written from another working directory, or the folder moved.
            let image = folder.join(PREVIEWS).join(image.file_name()?);
            match image::open(&image) {
                Ok(picture) => Some(picture.into_rgb8()),
                Err(error) => {
                    tracing::warn!("{} is not in the report: {error}", image.display());
                    None
                }
            }
        };
        strip.frames.retain_mut(|frame| {
            let images = self.previews.iter().filter(|(step, _)| *step == frame.step);
            let pictures = images.flat_map(|(_, images)| images).map(read);
            pictures
                .collect::<Option<_>>()
                .map(|pictures| frame.pictures = pictures)
                .is_some()
        });
        strip
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use image::RgbImage;

    use super::*;
    use crate::{
        EVENT_FORMAT,
        event::tests::{origin, report},
    };

    fn bad_step() -> BadStep {
        BadStep {
            step: 16,
            in_a_row: 1,
            loss: "NaN".to_owned(),
            grad_norm: "inf".to_owned(),
            layer: None,
            pictures: vec!["cat.png".into()],
            timesteps: vec![7],
        }
    }

    #[test]
    fn events_become_curves() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut record, mut log) = (RunRecord::default(), String::new());
        let mut note = |event: &Event<'_>| {
            record.note(event);
            log += &serde_json::to_string(event).expect("JSON");
            log.push('\n');
        };
        note(&Event::Started {
            format: EVENT_FORMAT,
            origin: &origin(),
            steps: 20,
            done: 0,
            modules: 1,
            parameters: 2,
        });
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
        note(&Event::Stepped(&report()));
        note(&Event::Stepped(&StepReport {
            step: 15,
            balanced_loss: None,
            peak_resident_bytes: None,
            ..report()
        }));
        let bad = bad_step();
        note(&Event::Skipped(&bad));
        for name in ["a-000001.safetensors", "a.safetensors"] {
            note(&Event::Saved {
                step: 20,
                epoch: 1,
                path: &folder.path().join(name),
                sha256: name,
            });
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
        assert_eq!(record.origin(), Some(&origin()));
        assert_eq!(record.curve().points, [(10, 0.1), (15, 0.1)]);
        assert_eq!(record.curve().balanced, [(10, 0.3)]);
        assert_eq!(record.by_timestep().points[1].1, report().loss_by_timestep);
        assert_eq!(record.bad_steps(), [bad]);
        // Four pictures a step.
        assert!((record.pictures_shown() - 60.0).abs() < 1e-9);
        assert_eq!(record.peak_resident(), Some(1 << 21));
        let files = record.files().iter();
        let files: Vec<_> = files
            .map(|file| (file.step, file.sha256.as_str()))
            .collect();
        let expected = ["a-000001.safetensors", "a.safetensors"];
        assert_eq!(files, expected.map(|name| (20, name)));
        assert_eq!(record.files()[1].name, Path::new("a.safetensors"));
        assert_eq!(record.curve().heldout, [(0, 0.2)]);
        assert_eq!(record.curve().saved, [(20, "a-000001".to_owned())]);
    }

    #[test]
    fn previews_become_a_strip_wherever_the_folder_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut record = RunRecord::default();
        std::fs::create_dir(folder.path().join(PREVIEWS)).expect("a folder");
        for step in [10, 20] {
            for prompt in 0..2 {
                let name = format!("{step}-{prompt}.png");
                let image = folder.path().join(PREVIEWS).join(name);
                RgbImage::new(4, 4).save(&image).expect("a picture");
                record.note(&Event::Sampled {
                    step,
                    prompt,
                    image: &image,
                });
            }
        }
        let frames = |folder: &Path, most: usize| -> Vec<_> {
            let strip = record.film_strip(folder, most);
            let frames = strip.frames.iter();
            frames
                .map(|frame| (frame.step, frame.pictures.len()))
                .collect()
        };
        assert_eq!(frames(folder.path(), 9), [(10, 2), (20, 2)]);
        assert_eq!(frames(folder.path(), 1).len(), 1);
        // Also where the folder has another name than in the log.
        let moved = folder.path().with_extension("moved");
        std::fs::rename(folder.path(), &moved).expect("moved");
        assert_eq!(frames(&moved, 9), [(10, 2), (20, 2)]);
        std::fs::remove_file(moved.join(PREVIEWS).join("20-1.png")).expect("removed");
        assert_eq!(frames(&moved, 9), [(10, 2)]);
        std::fs::rename(&moved, folder.path()).expect("moved back");
    }
}
