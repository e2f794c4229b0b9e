//! Taking the runs of a queue one after the other.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use lora_data::{FolderLock, LockError};

use super::{EntryState, EntryStatus, Queue, QueueEntry, QueueError};
use crate::{
    DeviceChoice, Handle, Observer, Outcome, Plan, Resume, TrainError, Trainer, facts::now,
};

/// Ends the taking of runs from anywhere: a signal handler, another thread. Clones command the same.
#[derive(Clone, Debug, Default)]
pub struct QueueHandle {
    stopping: Arc<AtomicBool>,
    /// The run under way.
    present: Arc<Mutex<Option<Handle>>>,
}

impl QueueHandle {
    /// Lets the run under way save and stop, and takes no other; what waits goes on waiting.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        if let Some(handle) = &*self.present() {
            handle.stop();
        }
    }

    /// Whether it was told to stop.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Commands for the run under way, if there is any.
    pub fn present_run(&self) -> Option<Handle> {
        self.present().clone()
    }

    fn set_present(&self, handle: Option<Handle>) {
        *self.present() = handle;
        // Told in between, when there was no run to stop.
        if self.is_stopping() {
            self.stop();
        }
    }

    fn present(&self) -> std::sync::MutexGuard<'_, Option<Handle>> {
        // What is locked is a plain value, which no panic leaves half changed.
        self.present.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hears how the runs of a queue go, and of all that happens in each.
pub trait QueueObserver: Observer {
    /// An entry's turn has come; everything is loaded next.
    fn entry_begins(&mut self, entry: &QueueEntry);
    /// Everything is loaded, and this is what the run will do.
    fn entry_planned(&mut self, entry: &QueueEntry, plan: &Plan);
    /// The run is over: at its end, stopped, or with an error.
    fn entry_ends(&mut self, entry: &QueueEntry, result: &Result<Outcome, TrainError>);
}

/// What came of taking runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueEnd {
    /// Runs that came to their end.
    pub done: usize,
    /// Runs that ended with an error.
    pub failed: usize,
    /// Whether it was told to stop.
    pub stopped: bool,
    /// Runs that were left because their device is busy.
    pub left: usize,
}

impl Queue {
    /// Takes the runs one after the other, those that are added meanwhile included, until none is left: on `device`, or
    /// where none is named, each where its config says. A run that fails does not keep the next from its turn.
    ///
    /// # Errors
    /// [`QueueError::Busy`] when another program takes runs on every device that is asked for; files of the queue that cannot
    /// be read or written. What a run is wrong with goes to the observer.
    pub fn run(
        &self,
        device: Option<DeviceChoice>,
        handle: &QueueHandle,
        observer: &mut dyn QueueObserver,
    ) -> Result<QueueEnd, QueueError> {
        let mut end = QueueEnd::default();
        // A device that was named is held from the first run to the last.
        let named = device.map(|device| self.hold(device)).transpose()?;
        while !handle.is_stopping() {
            let mut held = None;
            let mut busy: Vec<QueueError> = Vec::new();
            let claimed = self.claim(|entry| {
                if let Some(device) = device {
                    return Some(device);
                }
                // One that is not there is told when the run is opened.
                let wanted = entry.config.train.device;
                let wanted = wanted.settle().unwrap_or(wanted);
                held = None;
                match self.hold(wanted) {
                    Ok(lock) => {
                        held = Some(lock);
                        Some(wanted)
                    }
                    Err(error) => {
                        busy.push(error);
                        None
                    }
                }
            })?;
            let Some((entry, lock)) = claimed else {
                let nothing_was_done = end == QueueEnd::default();
                if device.is_none() && busy.is_empty() && nothing_was_done {
                    busy.extend(self.trained_elsewhere()?);
                }
                end.left = busy.len();
                return match busy.pop() {
                    Some(error) if nothing_was_done => Err(error),
                    _ => Ok(end),
                };
            };
            match self.train(entry, handle, observer)? {
                Ended::Done => end.done += 1,
                Ended::Failed => end.failed += 1,
                // The observer may have asked for it: it would only go on with the same.
                Ended::Stopped => break,
            }
            drop((lock, held));
        }
        end.stopped = true;
        drop(named);
        Ok(end)
    }

    /// Who trains an entry now, if somebody does.
    fn trained_elsewhere(&self) -> Result<Option<QueueError>, QueueError> {
        let entries = self.entries()?.into_iter();
        let mut running = entries.filter(|entry| self.status(entry) == EntryStatus::Running);
        Ok(running.find_map(|entry| match entry.state {
            EntryState::Running {
                device, process, ..
            } => Some(QueueError::Busy {
                device: device.to_string(),
                by: Some(process),
            }),
            _ => None,
        }))
    }

    /// The right to train on a device, which one program has at a time.
    fn hold(&self, device: DeviceChoice) -> Result<FolderLock, QueueError> {
        // No file of Windows may have a colon in its name.
        let name = format!(".device-{}.lock", device.to_string().replace(':', "-"));
        FolderLock::take(self.folder(), &name).map_err(|error| match error {
            LockError::Held(by) => QueueError::Busy {
                device: device.to_string(),
                by,
            },
            LockError::File(path, source) => {
                QueueError::Write(atomic_file::WriteError { path, source })
            }
        })
    }

    fn train(
        &self,
        mut entry: QueueEntry,
        handle: &QueueHandle,
        observer: &mut dyn QueueObserver,
    ) -> Result<Ended, QueueError> {
        observer.entry_begins(&entry);
        let result = match open(&entry) {
            Ok(trainer) => {
                observer.entry_planned(&entry, trainer.plan());
                // From here on what is in the folder is this run's.
                entry.begun = true;
                self.put_down(&entry)?;
                handle.set_present(Some(trainer.handle()));
                let result = trainer.run(&mut |event: &crate::Event<'_>| observer.on_event(event));
                handle.set_present(None);
                result
            }
            Err(error) => Err(error),
        };
        entry.state = match &result {
            Ok(outcome) if outcome.stopped => EntryState::Stopped {
                steps: outcome.steps,
            },
            Ok(outcome) => EntryState::Done {
                at: now(),
                steps: outcome.steps,
                seconds: outcome.seconds,
                file: outcome.last.clone(),
            },
            Err(error) => EntryState::Failed {
                at: now(),
                error: error.to_string(),
            },
        };
        self.put_down(&entry)?;
        observer.entry_ends(&entry, &result);
        Ok(match result {
            Ok(outcome) if outcome.stopped => Ended::Stopped,
            Ok(_) => Ended::Done,
            Err(_) => Ended::Failed,
        })
    }
}

/// How a run ended.
enum Ended {
    Done,
    Failed,
    Stopped,
}

/// Everything loaded for the entry's run, which goes on from what is in its folder if that is its own.
fn open(entry: &QueueEntry) -> Result<Trainer, TrainError> {
    let mut config = entry.config.clone();
    if let EntryState::Running { device, .. } = entry.state {
        config.train.device = device;
    }
    if entry.begun {
        Trainer::resume(config, Resume::default())
    } else {
        Trainer::open(config)
    }
}
