use std::io::{self, IsTerminal, Write};

use anyhow::Error;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

/// The one place that prints: results to stdout, everything about the way there to stderr.
///
/// Progress bars step aside for each line. Clones print to the same terminal.
#[derive(Clone, Debug)]
pub(crate) struct Printer {
    bars: MultiProgress,
    quiet: bool,
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
        }
    }

    /// A result, for a person.
    pub(crate) fn result(&self, text: &str) {
        self.bars.suspend(|| put(&mut io::stdout(), text));
    }

    /// A result as one JSON document.
    pub(crate) fn document(&self, value: &impl Serialize) {
        self.result(&serde_json::to_string_pretty(value).unwrap_or_default());
    }

    /// A result as one line of JSON.
    pub(crate) fn json_line(&self, value: &impl Serialize) {
        self.result(&serde_json::to_string(value).unwrap_or_default());
    }

    /// Something worth knowing on the way.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            self.bars.suspend(|| put(&mut io::stderr(), text));
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
        self.bars
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

/// Writes a line. A reader that went away, as `head` does, is no reason to complain.
fn put(stream: &mut impl Write, text: &str) {
    let _ = writeln!(stream, "{text}").and_then(|()| stream.flush());
}
