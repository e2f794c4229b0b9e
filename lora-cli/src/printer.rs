use std::{
    fmt::Display,
    io::{self, ErrorKind, IsTerminal, Write},
    sync::{Arc, OnceLock},
};

use anyhow::{Error, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// The one place that prints: results to stdout, everything about the way there to stderr.
///
/// Progress bars step aside for each line. Clones print to the same terminal.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    bars: MultiProgress,
    quiet: bool,
    /// Why a result could not be printed.
    lost: Arc<OnceLock<String>>,
}

impl Printer {
    pub(crate) fn new(quiet: bool) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(10)
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            quiet,
            lost: Arc::default(),
        }
    }

    /// A result, for a person. A reader that went away, as `head` does, is no reason to complain.
    pub(crate) fn result(&self, text: &str) {
        match self.bars.suspend(|| put(&mut io::stdout(), text)) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => self.lose(&error),
            _ => {}
        }
    }

    /// A result as one JSON document.
    pub(crate) fn document(&self, value: &impl Serialize) {
        self.json(serde_json::to_string_pretty(value));
    }

    /// A result as one line of JSON.
    pub(crate) fn json_line(&self, value: &impl Serialize) {
        self.json(serde_json::to_string(value));
    }

    fn json(&self, text: serde_json::Result<String>) {
        match text {
            Ok(text) => self.result(&text),
            Err(error) => self.lose(&error),
        }
    }

    fn lose(&self, error: &dyn Display) {
        // The first one tells.
        let _ = self.lost.set(error.to_string());
    }

    /// Whether all results were printed.
    ///
    /// # Errors
    /// Why one was not.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self.lost.get() {
            Some(reason) => bail!("the result cannot be printed: {reason}"),
            None => Ok(()),
        }
    }

    /// Something worth knowing on the way.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            // Where there is no stderr there is nobody to tell.
            let _ = self.bars.suspend(|| put(&mut io::stderr(), text));
        }
    }

    /// An error with its causes, except those that the line before already tells.
    pub(crate) fn error(&self, error: &Error) {
        let mut told = error.to_string();
        let mut lines = vec![format!("error: {told}")];
        for cause in error.chain().skip(1).map(ToString::to_string) {
            if !told.contains(&cause) {
                lines.push(format!("  caused by: {cause}"));
                told = cause;
            }
        }
        let _ = self
            .bars
            .suspend(|| put(&mut io::stderr(), &lines.join("\n")));
    }

    /// Whether somebody watches.
    pub(crate) fn shows_bars(&self) -> bool {
        !self.quiet && io::stderr().is_terminal()
    }

    /// A bar of `length` things, each a `unit`; `{msg}` stands behind it. Not shown where nobody watches.
    pub(crate) fn bar(&self, length: u64, unit: &str) -> ProgressBar {
        let template = format!("{{elapsed:>5}} {{bar:20.cyan/blue}} {{pos}}/{{len}} {unit}{{msg}}");
        let style = ProgressStyle::with_template(&template)
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━━╌");
        self.bars.add(ProgressBar::new(length)).with_style(style)
    }
}

fn put(stream: &mut impl Write, text: &str) -> io::Result<()> {
    writeln!(stream, "{text}").and_then(|()| stream.flush())
}
