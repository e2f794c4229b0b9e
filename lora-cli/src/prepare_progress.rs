use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use indicatif::ProgressBar;
use lora_data::prepare::{PreparePhase, PrepareProgress};
use lora_train::Handle;

use crate::{grid_progress::rate, printer::Printer, progress::clock};

/// Where nobody watches, preparing reports this often instead of drawing a bar.
const EVERY: Duration = Duration::from_secs(15);

/// Shows how far preparing has come, how fast it goes and how long it will take.
#[derive(Debug)]
pub(crate) struct PictureBar<'a> {
    printer: &'a Printer,
    handle: &'a Handle,
    phase: Option<Phase>,
}

#[derive(Debug)]
struct Phase {
    which: PreparePhase,
    bar: ProgressBar,
    began: Instant,
    told: Instant,
}

impl<'a> PictureBar<'a> {
    /// Preparing goes on until `handle` is told to stop.
    pub(crate) fn new(printer: &'a Printer, handle: &'a Handle) -> Self {
        Self {
            printer,
            handle,
            phase: None,
        }
    }

    pub(crate) fn told(&mut self, progress: PrepareProgress<'_>) -> ControlFlow<()> {
        let PrepareProgress { done, total, .. } = progress;
        if self
            .phase
            .as_ref()
            .is_none_or(|phase| phase.which != progress.phase)
        {
            self.begin(progress.phase, total);
        }
        if let Some(phase) = &mut self.phase {
            let each = phase.began.elapsed().as_secs_f64() / done.max(1) as f64;
            let left = Duration::from_secs_f64(each * (total - done) as f64);
            let state = format!("{}, {} left", rate(each), clock(left));
            phase.bar.set_position(done as u64);
            phase.bar.set_message(format!(", {state}"));
            if !self.printer.shows_bars() && phase.told.elapsed() >= EVERY {
                phase.told = Instant::now();
                let what = words(phase.which);
                self.printer
                    .note(&format!("{done}/{total} {what}: {state}"));
            }
        }
        if self.handle.is_stopping() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn begin(&mut self, which: PreparePhase, total: usize) {
        self.clear();
        let bar = self.printer.bar(total as u64, words(which));
        bar.enable_steady_tick(Duration::from_millis(500));
        let now = Instant::now();
        self.phase = Some(Phase {
            which,
            bar,
            began: now,
            told: now,
        });
    }

    fn clear(&mut self) {
        if let Some(phase) = self.phase.take() {
            phase.bar.finish_and_clear();
        }
    }
}

impl Drop for PictureBar<'_> {
    fn drop(&mut self) {
        self.clear();
    }
}

fn words(phase: PreparePhase) -> &'static str {
    match phase {
        PreparePhase::Looking => "pictures looked at",
        PreparePhase::Cutting => "pictures",
    }
}
