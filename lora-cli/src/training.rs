//! A training run on the terminal: what `lora train` and `lora quickstart` share.

use std::path::Path;

use lora_train::{Handle, Outcome, Resume, RunRecord, RunSummary, Trainer, config::TrainConfig};

use crate::{
    findings_text, interrupt, plan_text,
    printer::Printer,
    progress::{Progress, clock, speed},
};

/// A run that is over.
#[derive(Debug)]
pub(crate) struct Finished {
    /// What was asked for, with the device that was taken.
    pub(crate) config: TrainConfig,
    pub(crate) outcome: Outcome,
    pub(crate) record: RunRecord,
    /// Still hears Ctrl-C.
    pub(crate) handle: Handle,
}

/// Trains, with progress on stderr; Ctrl-C saves and ends it. `events` prints each event as a line of JSON.
pub(crate) fn train(
    mut config: TrainConfig,
    resume: Option<Resume>,
    printer: &Printer,
    events: bool,
) -> anyhow::Result<Finished> {
    config.train.device = config.train.device.settle()?;
    printer.note(&format!("device: {}", config.train.device));
    let trainer = match &resume {
        Some(resume) => Trainer::resume(config.clone(), resume.clone())?,
        None => Trainer::open(config.clone())?,
    };
    for note in &trainer.plan().notes {
        printer.note(&format!("note: {note}"));
    }
    for line in findings_text::lines(&trainer.plan().findings) {
        printer.note(&line);
    }
    printer.note(&plan_text::steps(&config, trainer.plan()));
    if let Some(line) = plan_text::heldout(trainer.plan()) {
        printer.note(&line);
    }
    let handle = trainer.handle();
    interrupt::stop_on_ctrl_c(handle.clone(), printer.clone())?;
    let mut progress = Progress::new(printer, events, &config.output.folder);
    let outcome = trainer.run(&mut progress)?;
    Ok(Finished {
        config,
        outcome,
        record: progress.into_record(),
        handle,
    })
}

/// What came of a run, for a person.
pub(crate) fn result(folder: &Path, outcome: &Outcome, summary: &RunSummary) -> String {
    let mut lines = vec![format!(
        "{} {} steps in {}, {}",
        if summary.stopped {
            "stopped after"
        } else {
            "trained"
        },
        summary.steps,
        clock(std::time::Duration::from_secs_f64(summary.seconds)),
        speed(summary.steps_per_second)
    )];
    if let (Some(before), Some(after)) = (summary.heldout_loss_before, summary.heldout_loss_after) {
        lines.push(format!(
            "held-out loss {before:.4} before, {after:.4} after"
        ));
    }
    let epochs = match summary.files.len() {
        0 => String::new(),
        1 => ", 1 file of an epoch".to_owned(),
        count => format!(", {count} files of epochs"),
    };
    if let Some(last) = &outcome.last {
        lines.push(format!("last file {}{epochs}", last.display()));
    }
    if let Some(best) = &outcome.best {
        let loss = outcome.best_loss;
        let loss = loss.map_or(String::new(), |loss| format!(", held-out loss {loss:.4}"));
        lines.push(format!("best file {}{loss}", best.display()));
    }
    lines.push(format!("report {}", folder.join("index.html").display()));
    lines.join("\n")
}
