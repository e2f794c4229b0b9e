//! Runs that wait for their turn: a folder with a file for each, and who takes them one after the other.
//!
//! What waits is the config as it was when it was added, so that a run file may be edited for the next. Entries are files that
//! are written whole, and who trains on a device holds a lock of the system: whatever kills a program, the next one sees what
//! was under way and goes on with it from its newest checkpoint.

mod entry;
mod error;
mod place;
mod runner;
mod store;

pub use entry::{EntryState, EntryStatus, NewEntry, QueueEntry};
pub use error::QueueError;
pub use place::default_folder;
pub use runner::{QueueEnd, QueueHandle, QueueObserver};
pub use store::Queue;
