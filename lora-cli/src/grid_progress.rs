use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use lora_train::{Flow, Handle, grid::GridProgress};

use crate::{printer::Printer, progress::clock};

/// Where nobody watches, a grid reports about this often instead of drawing a bar.
const LINES: usize = 20;

/// Shows on the terminal how far a grid has come, how fast it goes and how long it will take.
#[derive(Debug)]
pub(crate) struct PictureProgress<'a> {
    printer: &'a Printer,
    handle: &'a Handle,
    /// Begun with the first picture.
    bar: Option<(ProgressBar, Instant)>,
    /// Pictures at the last line told without a bar.
    told: usize,
}

impl<'a> PictureProgress<'a> {
    /// Drawing goes on until `handle` is told to stop.
    pub(crate) fn new(printer: &'a Printer, handle: &'a Handle) -> Self {
        Self {
            printer,
            handle,
            bar: None,
            told: 0,
        }
    }

    pub(crate) fn told(&mut self, progress: GridProgress) -> Flow {
        let GridProgress {
            drawn,
            to_draw,
            kept,
        } = progress;
        let printer = self.printer;
        let (bar, began) = self.bar.get_or_insert_with(|| {
            let before = match kept {
                0 => String::new(),
                1 => "; 1 is there from before".to_owned(),
                kept => format!("; {kept} are there from before"),
            };
            printer.note(&format!("{to_draw} pictures to draw{before}"));
            let bar = printer.bar(to_draw as u64, "pictures");
            bar.enable_steady_tick(Duration::from_millis(500));
            (bar, Instant::now())
        });
        if drawn > 0 {
            let each = began.elapsed().as_secs_f64() / drawn as f64;
            let left = Duration::from_secs_f64(each * (to_draw - drawn) as f64);
            let state = format!("{}, {} left", rate(each), clock(left));
            bar.set_position(drawn as u64);
            bar.set_message(format!(", {state}"));
            let due = drawn - self.told >= to_draw.div_ceil(LINES);
            if !printer.shows_bars() && due {
                self.told = drawn;
                printer.note(&format!("picture {drawn}/{to_draw}: {state}"));
            }
        }
        if self.handle.is_stopping() {
            Flow::Break(())
        } else {
            Flow::Continue(())
        }
    }
}

impl Drop for PictureProgress<'_> {
    fn drop(&mut self) {
        if let Some((bar, _)) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Seconds a picture, or pictures a second where that is the larger number.
pub(crate) fn rate(seconds_each: f64) -> String {
    if seconds_each >= 1.0 || seconds_each <= 0.0 {
        format!("{seconds_each:.1} s a picture")
    } else {
        format!("{:.1} pictures a second", seconds_each.recip())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_read_easily() {
        assert_eq!(rate(2.25), "2.2 s a picture");
        assert_eq!(rate(0.25), "4.0 pictures a second");
    }

    #[test]
    fn a_stop_ends_the_drawing() {
        let (printer, handle) = (Printer::new(true), Handle::default());
        let mut shown = PictureProgress::new(&printer, &handle);
        let progress = GridProgress {
            drawn: 1,
            to_draw: 3,
            kept: 0,
        };
        assert!(shown.told(progress).is_continue());
        handle.stop();
        assert!(shown.told(progress).is_break());
    }
}
