//! What is left to look at when a run is over: `report.json`, `loss.png`, `loss-by-timestep.png`, `choosing.png`,
//! `previews.png`, `grid.png` and `index.html`.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use atomic_file::{WriteError, write_atomically};
use serde::Serialize;
use thiserror::Error;

use crate::{
    Outcome, RunOrigin, RunRecord, SavedFile, TIMESTEP_BINS,
    config::TrainConfig,
    grid::write_sheet,
    picture::{CurveError, FilmStrip, Grid, PngError, Report, png, report_page},
};

/// Steps whose previews stand on the page; of more, so many evenly spaced ones.
const FRAMES: usize = 12;

/// A finished run and what there is to show of it.
#[derive(Clone, Copy, Debug)]
pub struct RunReport<'a> {
    /// What was asked for.
    pub config: &'a TrainConfig,
    /// What came out.
    pub outcome: &'a Outcome,
    /// What happened between.
    pub record: &'a RunRecord,
    /// The comparison of the saved files, where one was drawn.
    pub grid: Option<&'a Grid>,
    /// The commit that the program was built from, where it is known.
    pub commit: Option<&'a str>,
}

/// The numbers of a run, as `report.json` holds them. File names are relative to the run folder.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// The run's name.
    pub name: String,
    /// Steps done.
    pub steps: u64,
    /// Whether it was stopped before its end.
    pub stopped: bool,
    /// Seconds from the first step to the last file, previews and saving included.
    pub seconds: f64,
    /// Steps over the seconds spent in training steps alone.
    pub steps_per_second: f64,
    /// Pictures over the same seconds, a picture counting each time that it was shown.
    pub pictures_per_second: f64,
    /// The most memory of the host that the process had, in bytes; only on Linux.
    pub peak_resident_bytes: Option<u64>,
    /// Steps that moved nothing, because their loss or gradient was no number.
    pub skipped: u64,
    /// Smoothed training loss at the end.
    pub loss: f64,
    /// The same with all stretches of timesteps counting the same, where the loss of each picture is known.
    pub balanced_loss: Option<f64>,
    /// Smoothed loss of ten equal stretches of timesteps at the end.
    pub loss_by_timestep: [Option<f64>; TIMESTEP_BINS],
    /// Held-out loss of the base model.
    pub heldout_loss_before: Option<f64>,
    /// Held-out loss at the end.
    pub heldout_loss_after: Option<f64>,
    /// Held-out loss by step.
    pub heldout_losses: Vec<(u64, f64)>,
    /// Files of finished epochs, in order.
    pub files: Vec<PathBuf>,
    /// The file that ranks first, by held-out loss and similarity.
    pub best_file: Option<PathBuf>,
    /// The last file.
    pub last_file: Option<PathBuf>,
    /// All files that were saved, with their hashes.
    pub saved: Vec<SavedFile>,
    /// The commit that the program was built from, where it is known.
    pub commit: Option<String>,
    /// What the run was made from, and where.
    pub origin: Option<RunOrigin>,
}

/// Why a report cannot be written. What training saved is there all the same.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The loss curve cannot be drawn.
    #[error(transparent)]
    Curve(#[from] CurveError),
    /// A picture cannot be encoded.
    #[error(transparent)]
    Png(#[from] PngError),
    /// A file cannot be put together or written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl RunReport<'_> {
    /// The numbers.
    pub fn summary(&self) -> RunSummary {
        let Outcome {
            heldout,
            files,
            best,
            last: last_file,
            ..
        } = self.outcome;
        let last = self.record.last_report();
        let measured = |point: Option<&(u64, f64)>| point.map(|(_, loss)| *loss);
        RunSummary {
            name: self.config.output.name.clone(),
            steps: self.outcome.steps,
            stopped: self.outcome.stopped,
            seconds: self.outcome.seconds,
            steps_per_second: rate(self.outcome, self.outcome.steps as f64),
            pictures_per_second: rate(self.outcome, self.record.pictures_shown()),
            peak_resident_bytes: self.record.peak_resident(),
            skipped: self.outcome.skipped,
            loss: self.outcome.loss,
            balanced_loss: last.and_then(|report| report.balanced_loss),
            loss_by_timestep: last.map_or([None; TIMESTEP_BINS], |report| report.loss_by_timestep),
            heldout_loss_before: measured(heldout.first()),
            heldout_loss_after: measured(heldout.last()),
            heldout_losses: heldout.clone(),
            files: files.iter().map(|path| file_name(path)).collect(),
            best_file: best.as_deref().map(file_name),
            last_file: last_file.as_deref().map(file_name),
            saved: self.record.files().to_vec(),
            commit: self.commit.map(str::to_owned),
            origin: self.record.origin().cloned(),
        }
    }

    /// Writes everything into the run folder; gives the numbers.
    ///
    /// # Errors
    /// [`ReportError`].
    pub fn write(&self) -> Result<RunSummary, ReportError> {
        let summary = self.summary();
        let json = serde_json::to_string_pretty(&summary).unwrap_or_default() + "\n";
        self.put("report.json", json.as_bytes())?;
        let loss = self.record.curve().render()?;
        self.put("loss.png", &png::encode(&loss, None)?)?;
        if let Some(choosing) = self.record.choosing(self.outcome) {
            self.put("choosing.png", &png::encode(&choosing.render()?, None)?)?;
        }
        if !self.record.by_timestep().is_empty() {
            let chart = self.record.by_timestep().render()?;
            self.put("loss-by-timestep.png", &png::encode(&chart, None)?)?;
        }
        let previews = self.record.film_strip(&self.config.output.folder, FRAMES);
        if !previews.frames.is_empty() {
            self.put("previews.png", &png::encode(&previews.render(), None)?)?;
        }
        if let Some(grid) = self.grid {
            write_sheet(grid, &self.config.output.folder.join("grid.png"))?;
        }
        let page = self.page(&summary, previews);
        write_atomically(self.config.output.folder.join("index.html"), |file| {
            report_page(&page, file).map_err(io::Error::other)
        })?;
        Ok(summary)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), WriteError> {
        write_atomically(self.config.output.folder.join(name), |file| {
            file.write_all(bytes)
        })
    }

    fn page(&self, summary: &RunSummary, previews: FilmStrip) -> Report {
        Report {
            title: summary.name.clone(),
            lead: lead(summary),
            numbers: numbers(self.config, summary),
            curve: Some(self.record.curve().clone()),
            choosing: self.record.choosing(self.outcome),
            by_timestep: self.record.by_timestep().clone(),
            previews: FilmStrip {
                prompts: self.config.preview.prompts.clone(),
                ..previews
            },
            grid: self.grid.cloned(),
            bad_steps: self.record.bad_steps().to_vec(),
            files: summary.saved.clone(),
            origin: origin(self.config, summary),
            settings: self.config.to_toml(),
        }
    }
}

/// So many over the seconds spent in training steps.
fn rate(outcome: &Outcome, count: f64) -> f64 {
    if outcome.training_seconds > 0.0 {
        count / outcome.training_seconds
    } else {
        0.0
    }
}

fn file_name(path: &Path) -> PathBuf {
    path.file_name().unwrap_or(path.as_os_str()).into()
}

fn lead(summary: &RunSummary) -> String {
    let mut sentences = Vec::new();
    if summary.stopped {
        sentences.push(format!("Stopped after {} steps.", summary.steps));
    }
    if let (Some(before), Some(after)) = (summary.heldout_loss_before, summary.heldout_loss_after) {
        sentences.push(format!(
            "The loss on pictures that were kept out of training went from {before:.4} to {after:.4}."
        ));
    }
    if let Some(best) = &summary.best_file {
        sentences.push(format!(
            "Of the saved files {} ranks first; look at the pictures before you believe it.",
            best.display()
        ));
    }
    sentences.join(" ")
}

fn numbers(config: &TrainConfig, summary: &RunSummary) -> Vec<(String, String)> {
    let mut numbers = vec![
        ("steps", summary.steps.to_string()),
        ("time", duration(summary.seconds)),
        ("steps a second", format!("{:.2}", summary.steps_per_second)),
        (
            "pictures a second",
            format!("{:.2}", summary.pictures_per_second),
        ),
        ("training loss", format!("{:.4}", summary.loss)),
    ];
    let balanced = summary.balanced_loss;
    numbers.extend(balanced.map(|loss| ("balanced loss", format!("{loss:.4}"))));
    let heldout = [
        ("held-out loss before", summary.heldout_loss_before),
        ("held-out loss after", summary.heldout_loss_after),
    ];
    numbers.extend(
        heldout
            .into_iter()
            .filter_map(|(name, loss)| Some((name, format!("{:.4}", loss?)))),
    );
    numbers.push(("rank", config.lora.rank.to_string()));
    numbers.push(("device", config.train.device.to_string()));
    let peak = summary.peak_resident_bytes;
    numbers.extend(peak.map(|bytes| ("most memory", memory(bytes))));
    if summary.skipped > 0 {
        numbers.push(("steps passed over", summary.skipped.to_string()));
    }
    numbers
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What a run was made from, and where, for a person.
fn origin(config: &TrainConfig, summary: &RunSummary) -> Vec<(String, String)> {
    let Some(origin) = &summary.origin else {
        return Vec::new();
    };
    let program = match &summary.commit {
        Some(commit) => format!("{}, commit {commit}", origin.program),
        None => origin.program.clone(),
    };
    let mut rows = vec![
        ("program", program),
        ("device", origin.device.clone()),
        (
            "system",
            format!("{}, {} threads", origin.system, origin.threads),
        ),
        ("base model", config.model.path.display().to_string()),
    ];
    let whole = &origin.model_sha256;
    rows.extend(
        whole
            .clone()
            .map(|hash| ("SHA-256 of the base model's file", hash)),
    );
    rows.extend([
        (
            "digest of the base model's files",
            origin.model_digest.clone(),
        ),
        (
            "SHA-256 of pictures and captions",
            origin.data_sha256.clone(),
        ),
        ("SHA-256 of resolved.toml", origin.config_sha256.clone()),
    ]);
    let rows = rows.into_iter();
    rows.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Bytes as a person says them: `512 MB`, `3.2 GB`.
fn memory(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        megabytes if megabytes < 1000.0 => format!("{megabytes:.0} MB"),
        megabytes => format!("{:.1} GB", megabytes / 1000.0),
    }
}

/// Seconds as a person says them: `48 s`, `1:48 min`, `2:01 h`.
fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        seconds @ 0..100 => format!("{seconds} s"),
        seconds @ 100..6000 => format!("{}:{:02} min", seconds / 60, seconds % 60),
        seconds => format!("{}:{:02} h", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        EVENT_FORMAT, Event,
        event::tests::{origin, report},
    };

    #[test]
    fn numbers_and_files_land_in_the_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = TrainConfig::default();
        config.output.folder = folder.path().to_path_buf();
        let outcome = Outcome {
            steps: 300,
            seconds: 61.0,
            training_seconds: 50.0,
            heldout: vec![(0, 0.2175), (162, 0.0890), (300, 0.0877)],
            files: vec![folder.path().join("a-000001.safetensors")],
            best: Some(folder.path().join("a-000001.safetensors")),
            ..Outcome::default()
        };
        let mut record = RunRecord::default();
        record.note(&Event::Started {
            format: EVENT_FORMAT,
            origin: &origin(),
            steps: 300,
            done: 0,
            modules: 1,
            parameters: 2,
        });
        record.note(&Event::Stepped(&report()));
        let previews = folder.path().join("previews");
        std::fs::create_dir(&previews).expect("a folder");
        let preview = previews.join("preview.png");
        image::RgbImage::new(8, 8)
            .save(&preview)
            .expect("a picture");
        record.note(&Event::Sampled {
            step: 10,
            prompt: 0,
            image: &preview,
        });
        config.preview.prompts = vec!["a cat in a hat".to_owned()];
        let grid = Grid::default();
        let report = RunReport {
            config: &config,
            outcome: &outcome,
            record: &record,
            grid: Some(&grid),
            commit: Some("abc"),
        };
        let summary = report.write().expect("written");
        assert_eq!(summary.heldout_loss_before, Some(0.2175));
        assert_eq!(summary.heldout_loss_after, Some(0.0877));
        assert!((summary.steps_per_second - 6.0).abs() < 1e-12);
        assert_eq!(summary.best_file, Some("a-000001.safetensors".into()));
        assert_eq!(summary.balanced_loss, Some(0.3));
        // Ten steps of four pictures in 50 s.
        assert!((summary.pictures_per_second - 0.8).abs() < 1e-12);
        let files = [
            "report.json",
            "loss.png",
            "loss-by-timestep.png",
            "previews.png",
        ];
        for name in files.into_iter().chain(["grid.png", "index.html"]) {
            assert!(folder.path().join(name).is_file(), "no {name}");
        }
        let page = std::fs::read_to_string(folder.path().join("index.html")).expect("a page");
        assert!(
            page.contains("went from 0.2175 to 0.0877"),
            "{}",
            &page[..200]
        );
        for told in [
            "<h3>a cat in a hat</h3>",
            "lora 0.1.0, commit abc",
            "2 MB",
            &"c".repeat(64),
            &"f".repeat(64),
        ] {
            assert!(page.contains(told), "no {told}");
        }
    }

    #[test]
    fn memory_is_said_in_the_unit_that_fits() {
        assert_eq!(memory(512_400_000), "512 MB");
        assert_eq!(memory(3_160_000_000), "3.2 GB");
    }

    #[test]
    fn durations_are_said_in_the_unit_that_fits() {
        assert_eq!(duration(48.4), "48 s");
        assert_eq!(duration(108.0), "1:48 min");
        assert_eq!(duration(7265.0), "2:01 h");
    }
}
