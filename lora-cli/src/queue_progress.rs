use std::path::Path;

use lora_train::{
    DeviceChoice, Event, Flow, Observer, Outcome, Plan, RunReport, TrainError,
    config::TrainConfig,
    queue::{EntryState, QueueEntry, QueueObserver},
};
use serde::Serialize;

use crate::{
    cli::COMMIT, findings_text, plan_text, printer::Printer, progress::Progress, training,
};

/// Shows the runs of a queue on the terminal, each as `lora train` does, and writes their reports.
#[derive(Debug)]
pub(crate) struct QueueProgress<'a> {
    printer: &'a Printer,
    /// Whether everything goes to stdout as lines of JSON.
    json: bool,
    /// Where the present run is trained.
    device: DeviceChoice,
    /// The present run's, once everything is loaded.
    progress: Option<Progress<'a>>,
}

/// An entry's begin and end among the lines of JSON; between them are the events of its run.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line<'a> {
    EntryBegins {
        entry: u64,
        run_file: &'a Path,
        folder: &'a Path,
        device: String,
        /// Whether it goes on from what is in its folder.
        goes_on: bool,
    },
    EntryEnds {
        entry: u64,
        #[serde(flatten)]
        state: &'a EntryState,
    },
}

impl<'a> QueueProgress<'a> {
    pub(crate) fn new(printer: &'a Printer, json: bool) -> Self {
        Self {
            printer,
            json,
            device: DeviceChoice::Auto,
            progress: None,
        }
    }

    /// Writes the report of a run that is over; gives its summary in words.
    fn report(
        &self,
        config: &TrainConfig,
        outcome: &Outcome,
        progress: Progress<'_>,
    ) -> Option<String> {
        let report = RunReport {
            config,
            outcome,
            record: &progress.into_record(),
            grid: None,
            commit: COMMIT,
        };
        match report.write() {
            Ok(summary) => Some(training::result(&config.output.folder, outcome, &summary)),
            Err(error) => {
                self.printer
                    .error(&anyhow::Error::new(error).context("the report cannot be written"));
                None
            }
        }
    }
}

impl Observer for QueueProgress<'_> {
    fn on_event(&mut self, event: &Event<'_>) -> Flow {
        match &mut self.progress {
            Some(progress) => progress.on_event(event),
            None => Flow::Continue(()),
        }
    }
}

impl QueueObserver for QueueProgress<'_> {
    fn entry_begins(&mut self, entry: &QueueEntry) {
        self.device = match entry.state {
            EntryState::Running { device, .. } => device,
            _ => entry.config.train.device,
        };
        let device = self.device.to_string();
        if self.json {
            self.printer.json_line(&Line::EntryBegins {
                entry: entry.number,
                run_file: &entry.run_file,
                folder: entry.folder(),
                device: device.clone(),
                goes_on: entry.begun,
            });
        }
        self.printer.note(&format!(
            "\n{}: {} on {device}, into {}",
            entry.number,
            entry.run_file.display(),
            entry.folder().display()
        ));
        if entry.has_changed() {
            self.printer
                .note("note: the file was edited after it was added; it is run as it was");
        }
    }

    fn entry_planned(&mut self, entry: &QueueEntry, plan: &Plan) {
        for note in &plan.notes {
            self.printer.note(&format!("note: {note}"));
        }
        for line in findings_text::lines(&plan.findings) {
            self.printer.note(&line);
        }
        self.printer.note(&plan_text::steps(&entry.config, plan));
        self.progress = Some(Progress::new(self.printer, self.json, entry.folder()));
    }

    fn entry_ends(&mut self, entry: &QueueEntry, result: &Result<Outcome, TrainError>) {
        let progress = self.progress.take();
        match (result, progress) {
            (Ok(outcome), Some(progress)) => {
                let mut config = entry.config.clone();
                config.train.device = self.device;
                let told = self.report(&config, outcome, progress);
                if let (Some(told), false) = (told, self.json) {
                    self.printer.result(&format!("{}: {told}", entry.number));
                }
            }
            (Err(error), progress) => {
                // Its bar goes away before the error is told.
                drop(progress);
                self.printer
                    .error(&anyhow::anyhow!("{}: {error}", entry.run_file.display()));
            }
            (Ok(_), None) => {}
        }
        if self.json {
            self.printer.json_line(&Line::EntryEnds {
                entry: entry.number,
                state: &entry.state,
            });
        }
    }
}
