use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use indicatif::ProgressBar;
use lora_train::{Comparison, Event, Flow, Observer, Outcome, RunRecord, StepReport};

use crate::printer::Printer;

/// Where nobody watches, a run reports about this often instead of drawing a bar.
const LINES: u64 = 20;

/// Shows a run on the terminal and takes notes for its report.
#[derive(Debug)]
pub(crate) struct Progress<'a> {
    printer: &'a Printer,
    /// Whether events go to stdout as lines of JSON.
    events: bool,
    /// The run folder.
    folder: PathBuf,
    record: RunRecord,
    bar: Option<ProgressBar>,
    /// The step of the last line told without a bar.
    told: u64,
}

impl<'a> Progress<'a> {
    pub(crate) fn new(printer: &'a Printer, events: bool, folder: &Path) -> Self {
        Self {
            printer,
            events,
            folder: folder.to_path_buf(),
            record: RunRecord::default(),
            bar: None,
            told: 0,
        }
    }

    /// The notes.
    pub(crate) fn into_record(self) -> RunRecord {
        self.record
    }

    fn cached(&mut self, done: usize, total: usize) {
        let printer = self.printer;
        let bar = self
            .bar
            .get_or_insert_with(|| printer.bar(total as u64, "pictures encoded"));
        bar.set_position(done as u64);
        if done == total {
            self.clear_bar();
        }
    }

    fn started(&mut self, steps: u64, modules: usize, parameters: usize) {
        let millions = parameters as f64 / 1e6;
        self.printer.note(&format!(
            "training {millions:.2} million numbers in {modules} layers"
        ));
        let bar = self.printer.bar(steps, "steps");
        bar.enable_steady_tick(Duration::from_millis(500));
        self.bar = Some(bar);
    }

    fn stepped(&mut self, report: &StepReport) {
        let StepReport { step, steps, .. } = *report;
        let state = state(report);
        if let Some(bar) = &self.bar {
            bar.set_position(step);
            bar.set_message(format!(", {state}"));
        }
        let due = step - self.told >= steps.div_ceil(LINES) || step == steps;
        if !self.printer.shows_bars() && due {
            self.told = step;
            self.printer.note(&format!("step {step}/{steps}: {state}"));
        }
    }

    /// Tells where a run goes on that did not begin now, and takes note of all that was before.
    fn going_on(&mut self, done: u64) {
        if done > 0 {
            let log = fs::read_to_string(self.folder.join("metrics.jsonl"));
            self.record.note_log(&log.unwrap_or_default());
            self.told = done;
            self.printer.note(&format!("going on after step {done}"));
            if let Some(bar) = &self.bar {
                bar.set_position(done);
                bar.reset_eta();
            }
        }
    }

    fn finished(&mut self, outcome: &Outcome) {
        self.clear_bar();
        if outcome.stopped {
            self.printer
                .note(&format!("stopped after step {}", outcome.steps));
        }
    }

    fn clear_bar(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress<'_> {
    fn on_event(&mut self, event: &Event<'_>) -> Flow {
        self.record.note(event);
        if self.events {
            self.printer.json_line(event);
        }
        match *event {
            Event::Cached { done, total, .. } => self.cached(done, total),
            Event::Started {
                steps,
                done,
                modules,
                parameters,
                ..
            } => {
                self.started(steps, modules, parameters);
                self.going_on(done);
            }
            Event::Stepped(report) => self.stepped(report),
            Event::Measured { step, heldout_loss } => {
                self.printer
                    .note(&format!("step {step}: held-out loss {heldout_loss:.4}"));
            }
            Event::Compared { step, comparison } => self
                .printer
                .note(&format!("step {step}: {}", compared(comparison))),
            Event::Skipped(bad) => self
                .printer
                .note(&format!("step {} was passed over: {bad}", bad.step)),
            Event::Saved { step, path, .. } => {
                self.printer
                    .note(&format!("step {step}: saved {}", path.display()));
            }
            Event::Finished(outcome) => self.finished(outcome),
            // Previews are looked at in their folder; one line for each would push the rest out of sight.
            _ => {}
        }
        Flow::Continue(())
    }
}

/// How drawn pictures compare with training pictures.
fn compared(comparison: &Comparison) -> String {
    let Comparison {
        similarity,
        copy_distance,
        copies,
        pictures,
        ..
    } = comparison;
    format!(
        "similarity {similarity:.3}, copy distance {copy_distance:.3}, {copies} of {pictures} drawn are copies"
    )
}

/// How a run stands, in a line.
fn state(report: &StepReport) -> String {
    let mut parts = vec![format!("loss {:.4}", report.smooth_loss)];
    let balanced = report.balanced_loss;
    parts.extend(balanced.map(|loss| format!("balanced {loss:.4}")));
    parts.push(speed(report.steps_per_second));
    // With one picture a step it is the same number.
    if report.pictures_per_second > 1.01 * report.steps_per_second {
        parts.push(format!("{:.1} pictures/s", report.pictures_per_second));
    }
    parts.push(format!("{} left", clock(report.left)));
    parts.extend(report.resident_bytes.map(memory));
    parts.join(", ")
}

/// `512 MB`, or `3.2 GB`.
fn memory(bytes: u64) -> String {
    match bytes as f64 / 1e6 {
        megabytes if megabytes < 1000.0 => format!("{megabytes:.0} MB"),
        megabytes => format!("{:.1} GB", megabytes / 1000.0),
    }
}

/// Steps a second, or seconds a step where that is the larger number.
pub(crate) fn speed(steps_per_second: f64) -> String {
    if steps_per_second >= 1.0 || steps_per_second <= 0.0 {
        format!("{steps_per_second:.2} it/s")
    } else {
        format!("{:.2} s/it", steps_per_second.recip())
    }
}

/// `m:ss`, or `h:mm:ss`.
pub(crate) fn clock(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round() as u64;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        hours => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_and_times_read_easily() {
        assert_eq!(speed(7.25), "7.25 it/s");
        assert_eq!(speed(0.25), "4.00 s/it");
        assert_eq!(clock(Duration::from_secs(65)), "1:05");
        assert_eq!(clock(Duration::from_secs(3725)), "1:02:05");
    }
}
