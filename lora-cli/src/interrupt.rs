//! Ctrl-C: once to save and stop, twice to leave at once.

use std::{
    process,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context;
use lora_train::Handle;

use crate::printer::Printer;

/// What shells give for a program that Ctrl-C ended: 128 + SIGINT.
pub(crate) const EXIT_CODE: u8 = 130;

/// From now on Ctrl-C, or a polite request to terminate, stops what `handle` commands; a second one ends the program.
///
/// # Errors
/// When the signal cannot be caught.
pub(crate) fn stop_on_ctrl_c(handle: Handle, printer: Printer) -> anyhow::Result<()> {
    on_ctrl_c(move || handle.stop(), printer)
}

/// The same for whatever `stop` stops.
///
/// # Errors
/// When the signal cannot be caught.
pub(crate) fn on_ctrl_c(stop: impl Fn() + Send + 'static, printer: Printer) -> anyhow::Result<()> {
    let asked = AtomicBool::new(false);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::Relaxed) {
            // Files are written aside and renamed, so that none is left half written.
            process::exit(EXIT_CODE.into());
        }
        stop();
        printer.note("stopping, and saving what is there… (Ctrl-C again leaves at once)");
    })
    .context("Ctrl-C cannot be caught")
}
