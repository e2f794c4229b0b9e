use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// How often a run that is paused looks whether it was told something else.
const LOOK: Duration = Duration::from_millis(100);

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
    paused: Mutex<bool>,
    woken: Condvar,
    rate_factor: Mutex<Option<f64>>,
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

    /// Take no step until [`Self::resume`]; other commands are obeyed all the same.
    pub fn pause(&self) {
        *locked(&self.commands.paused) = true;
    }

    /// Go on after a [pause](Self::pause).
    pub fn resume(&self) {
        *locked(&self.commands.paused) = false;
        self.commands.woken.notify_all();
    }

    /// Whether the run is to wait.
    pub fn is_paused(&self) -> bool {
        *locked(&self.commands.paused)
    }

    /// Multiply all learning rates of the config by `factor` from the next step on, instead of by what was told before.
    /// Anything but a finite number from 0 up is passed over.
    pub fn scale_rates(&self, factor: f64) {
        if factor.is_finite() && factor >= 0.0 {
            *locked(&self.commands.rate_factor) = Some(factor);
        }
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

    /// What the rates are to be multiplied by, once after it was told.
    pub(crate) fn take_rate_factor(&self) -> Option<f64> {
        locked(&self.commands.rate_factor).take()
    }

    /// Sleeps until the pause is over, or for a moment.
    pub(crate) fn wait_a_moment(&self) {
        let paused = locked(&self.commands.paused);
        let waited = self
            .commands
            .woken
            .wait_timeout_while(paused, LOOK, |paused| *paused);
        // A thread that panicked while it held the lock has left a plain value.
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is locked is a plain value, which no panic leaves half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
