use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Sends commands to a run from anywhere: another thread, a signal handler, a web page.
///
/// Clones command the same run. A command is obeyed between two steps.
#[derive(Clone, Debug, Default)]
pub struct Handle {
    commands: Arc<Commands>,
}

#[derive(Debug, Default)]
struct Commands {
    stop: AtomicBool,
    save: AtomicBool,
    sample: AtomicBool,
}

impl Handle {
    /// Save and end.
    pub fn stop(&self) {
        self.commands.stop.store(true, Ordering::Relaxed);
    }

    /// Write a file of the present step and go on.
    pub fn save_now(&self) {
        self.commands.save.store(true, Ordering::Relaxed);
    }

    /// Draw previews and go on.
    pub fn sample_now(&self) {
        self.commands.sample.store(true, Ordering::Relaxed);
    }

    /// Whether the run was asked to stop.
    pub fn is_stopping(&self) -> bool {
        self.commands.stop.load(Ordering::Relaxed)
    }

    /// Whether a file was asked for; asking once gives one.
    pub(crate) fn take_save(&self) -> bool {
        self.commands.save.swap(false, Ordering::Relaxed)
    }

    /// Whether previews were asked for; asking once gives one set.
    pub(crate) fn take_sample(&self) -> bool {
        self.commands.sample.swap(false, Ordering::Relaxed)
    }
}
