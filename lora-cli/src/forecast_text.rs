//! What a run will need of the disk and of time, in words.

use std::time::Duration;

use indicatif::DecimalBytes;
use lora_train::{FilePlan, MemoryPlan, PlannedFiles, TimePlan};

use crate::{
    command::bench::grouped,
    progress::{clock, speed},
};

/// Sizes of what will be written.
pub(crate) fn sizes(files: &FilePlan) -> String {
    let each = files.lora_files.last().map_or(0, |file| file.bytes);
    let parts: Vec<String> = [
        ("checkpoint", files.checkpoints),
        ("preview", files.previews),
    ]
    .into_iter()
    .filter(|(_, part)| part.count > 0)
    .map(|(what, PlannedFiles { count, bytes })| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {what}{plural} of {}", size(bytes / count))
    })
    .collect();
    let with = match parts.as_slice() {
        [] => String::new(),
        parts => format!("; with {}", parts.join(" and ")),
    };
    let free = files
        .free_bytes
        .map_or_else(String::new, |free| format!(", {} free", size(free)));
    format!(
        "{} numbers in {} layers, {} a file{with} about {} in {} files{free}",
        grouped(files.parameters as usize),
        files.modules,
        size(each),
        size(files.bytes),
        files.files,
    )
}

/// The memory that the run takes at its largest, and what of.
pub(crate) fn memory(memory: &MemoryPlan) -> String {
    let about = if memory.checked { "about" } else { "roughly" };
    let when = if memory.peak == memory.training {
        "training"
    } else if memory.peak == memory.drawing {
        "drawing previews"
    } else {
        "encoding pictures"
    };
    format!(
        "{about} {} of memory, most while {when}; steps take {} for networks, {} for activations, {} for adapters and \
         optimiser",
        size(memory.peak),
        size(memory.weights),
        size(memory.activations),
        size(memory.adapters + memory.optimizer),
    )
}

/// A warning where the disk has not enough room.
pub(crate) fn no_room(files: &FilePlan) -> Option<String> {
    let free = files.free_bytes.filter(|_| files.fits() == Some(false))?;
    Some(format!(
        "warning: the run needs up to {} on its disk, which has {} left",
        size(files.peak_bytes),
        size(free)
    ))
}

/// How long it will take.
pub(crate) fn time(time: &TimePlan) -> Vec<String> {
    let row = |what: &str, each: f64, count: u64| {
        let whole = clock(Duration::from_secs_f64(each * count as f64));
        format!("  {what}: {count} of {each:.3} s, {whole}")
    };
    let mut lines = vec![format!(
        "about {} in all, at {} (median of {} steps)",
        clock(Duration::from_secs_f64(time.total)),
        speed(time.step.recip()),
        time.timed_steps.len()
    )];
    lines.push(format!(
        "  loading {:.1} s, latents and texts {:.1} s",
        time.loading, time.readying
    ));
    lines.push(row("steps", time.step, time.steps));
    let some = [
        ("previews", time.preview, time.previews),
        ("held-out measures", time.heldout, time.heldouts),
    ];
    let some = some
        .into_iter()
        .filter_map(|(what, each, count)| Some((what, each?, count)));
    lines.extend(some.map(|(what, each, count)| row(what, each, count)));
    lines.push(row("saved files", time.file, time.files));
    if time.checkpoints > 0 {
        lines.push(row("checkpoints", time.checkpoint, time.checkpoints));
    }
    lines
}

fn size(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}
