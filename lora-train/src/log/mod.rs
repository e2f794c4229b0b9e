//! The files that a run's events are written to as they happen: `metrics.jsonl`, `metrics.csv`, TensorBoard's.
//!
//! A [`LogFormat`] says what an event is in a file; opening, cutting back and syncing are the same for all, in
//! [`LogFile`].

mod csv;
mod json_lines;
mod log_file;
mod scalar;
mod tensorboard;

use std::{collections::BTreeMap, fmt, io, path::Path};

use atomic_file::WriteError;

use crate::{Event, config::LogConfig, facts::now};
use csv::Csv;
use json_lines::JsonLines;
use log_file::LogFile;
use tensorboard::TensorBoard;

/// Every file that logs are in, switched on or not, seen from the run folder.
pub(crate) const FILES: [&str; 3] = [json_lines::FILE, csv::FILE, tensorboard::FILE];

/// How events look in a file.
trait LogFormat: fmt::Debug + Send {
    /// The file, seen from the run folder.
    fn file(&self) -> &'static str;

    /// What the file begins with, at `time` in seconds since 1970.
    fn head(&self, time: f64) -> Vec<u8>;

    /// What is appended for an event; nothing where the file does not tell of such events.
    ///
    /// # Errors
    /// A picture that was drawn and cannot be read.
    fn entry(&self, event: &Event<'_>, time: f64) -> io::Result<Vec<u8>>;
}

/// All logs of a run.
#[derive(Debug, Default)]
pub(crate) struct Logs {
    files: Vec<LogFile>,
}

impl Logs {
    /// Begins the logs that the config asks for. What was in their files is gone.
    ///
    /// # Errors
    /// [`WriteError`] with the file.
    pub(crate) fn create(folder: &Path, config: &LogConfig) -> Result<Self, WriteError> {
        Self::go_on(folder, config, &BTreeMap::new())
    }

    /// Goes on with the logs, each cut to the length that it had: what was told after that will be told again. One that
    /// was not written before begins here.
    ///
    /// # Errors
    /// [`WriteError`] with the file.
    pub(crate) fn go_on(
        folder: &Path,
        config: &LogConfig,
        lengths: &BTreeMap<String, u64>,
    ) -> Result<Self, WriteError> {
        let open = |format: Box<dyn LogFormat>| {
            let length = lengths.get(format.file()).copied().unwrap_or(0);
            LogFile::open(folder, format, length)
        };
        let files = formats(config).into_iter().map(open);
        let files = files.collect::<Result<_, _>>()?;
        Ok(Self { files })
    }

    /// Appends an event to each log that tells of such events.
    ///
    /// # Errors
    /// [`WriteError`] with the file.
    pub(crate) fn note(&mut self, event: &Event<'_>) -> Result<(), WriteError> {
        let time = now();
        self.files
            .iter_mut()
            .try_for_each(|file| file.note(event, time))
    }

    /// The length of each file, all of which is on the disk then.
    ///
    /// # Errors
    /// [`WriteError`] with the file.
    pub(crate) fn lengths(&mut self) -> Result<BTreeMap<String, u64>, WriteError> {
        let lengths = self.files.iter_mut().map(LogFile::length);
        lengths.collect()
    }
}

fn formats(config: &LogConfig) -> Vec<Box<dyn LogFormat>> {
    let mut formats: Vec<Box<dyn LogFormat>> = vec![Box::new(JsonLines)];
    if config.csv {
        formats.push(Box::new(Csv));
    }
    if config.tensorboard {
        formats.push(Box::new(TensorBoard {
            previews: config.tensorboard_previews,
        }));
    }
    formats
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const MEASURED: Event<'static> = Event::Measured {
        step: 5,
        heldout_loss: 0.25,
    };

    fn contents(folder: &Path) -> Vec<Vec<u8>> {
        let read = |file| fs::read(folder.join(file)).unwrap_or_default();
        FILES.into_iter().map(read).collect()
    }

    #[test]
    fn logs_that_go_on_are_cut_back_and_end_as_if_nothing_had_happened() {
        let (folder, config) = (tempfile::tempdir().expect("a folder"), LogConfig::default());
        let mut logs = Logs::create(folder.path(), &config).expect("made");
        logs.note(&MEASURED).expect("written");
        let (lengths, before) = (logs.lengths().expect("there"), contents(folder.path()));
        assert!(before.iter().all(|file| !file.is_empty()));
        let expected: Vec<u64> = before.iter().map(|file| file.len() as u64).collect();
        let told: Vec<u64> = FILES.iter().map(|file| lengths[*file]).collect();
        assert_eq!(told, expected);
        // Told, but after the checkpoint, and the last entry torn.
        logs.note(&MEASURED).expect("written");
        drop(logs);
        let torn = fs::read(folder.path().join(json_lines::FILE)).expect("there");
        fs::write(
            folder.path().join(json_lines::FILE),
            &torn[..torn.len() - 3],
        )
        .expect("written");

        drop(Logs::go_on(folder.path(), &config, &lengths).expect("there"));
        assert_eq!(contents(folder.path()), before);
        drop(Logs::create(folder.path(), &config).expect("made anew"));
        assert!(
            contents(folder.path())
                .iter()
                .zip(&before)
                .all(|(now, before)| now.len() < before.len())
        );
    }

    #[test]
    fn a_log_that_is_switched_on_later_begins_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let off = LogConfig {
            csv: false,
            tensorboard: false,
            ..LogConfig::default()
        };
        let mut logs = Logs::create(folder.path(), &off).expect("made");
        logs.note(&MEASURED).expect("written");
        let lengths = logs.lengths().expect("there");
        assert_eq!(lengths.keys().collect::<Vec<_>>(), [json_lines::FILE]);
        assert!(!folder.path().join(csv::FILE).exists());
        assert!(!folder.path().join("tensorboard").exists());
        drop(Logs::go_on(folder.path(), &LogConfig::default(), &lengths).expect("there"));
        let csv = fs::read_to_string(folder.path().join(csv::FILE)).expect("there");
        assert!(
            csv.starts_with("step,") && csv.lines().count() == 1,
            "{csv}"
        );
    }
}
