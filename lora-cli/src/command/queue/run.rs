use clap::Args;
use lora_train::{
    DeviceChoice,
    queue::{QueueEnd, QueueHandle},
};
use serde::Serialize;

use super::Place;
use crate::{cli::End, interrupt, printer::Printer, queue_progress::QueueProgress};

const EXAMPLES: &str = "\
Examples:
  lora queue run
  lora queue run --device cuda:0 & lora queue run --device cuda:1
  lora queue run --json | jq 'select(.event == \"entry_ends\")'

Trains what waits, one after the other, and what is added meanwhile. On a device one such program
trains at a time; a second one tells who does and ends with code 1. With --device all runs are
trained there, whatever they say themselves; without, each where its run file says.

The exit code is 0 when all runs came to their end, 1 when one failed, and 130 after Ctrl-C, which
saves and stops the present run and leaves the rest for the next `lora queue run`.";

/// Train what waits in the queue, one run after the other
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    // Not a doc comment: rustdoc takes the brackets for links.
    #[arg(
        long,
        help = "Train all runs there: auto, cpu, wgpu[:n], vulkan[:n] or cuda[:n]"
    )]
    device: Option<DeviceChoice>,
    #[command(flatten)]
    place: Place,
}

/// The last line of JSON.
#[derive(Serialize)]
struct Ended {
    event: &'static str,
    done: usize,
    failed: usize,
    left: usize,
    stopped: bool,
}

impl Run {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let queue = self.place.open()?;
        let device = self.device.map(DeviceChoice::settle).transpose()?;
        let handle = QueueHandle::default();
        let stopping = handle.clone();
        interrupt::on_ctrl_c(move || stopping.stop(), printer.clone())?;
        let mut progress = QueueProgress::new(printer, self.place.json);
        let end = queue.run(device, &handle, &mut progress)?;
        if self.place.json {
            printer.json_line(&Ended {
                event: "queue_ends",
                done: end.done,
                failed: end.failed,
                left: end.left,
                stopped: end.stopped,
            });
        } else {
            printer.result(&summary(end));
        }
        Ok(match end {
            QueueEnd { stopped: true, .. } => End::Stopped,
            QueueEnd { failed: 0, .. } => End::Done,
            _ => End::Unfit,
        })
    }
}

fn summary(end: QueueEnd) -> String {
    let parts = [
        (end.done, "done"),
        (end.failed, "failed; `lora queue list` tells why"),
        (
            end.left,
            "left to another `lora queue run` that trains on their device",
        ),
    ];
    let parts = parts.iter().filter(|(count, _)| *count > 0);
    let mut parts: Vec<String> = parts
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if end.stopped {
        parts.push("stopped; `lora queue run` goes on".to_owned());
    }
    match parts.as_slice() {
        [] => "nothing waits in the queue".to_owned(),
        parts => format!("queue: {}", parts.join(", ")),
    }
}
