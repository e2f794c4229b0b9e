//! How much memory a file takes that was made to take much; alone in its process, for it counts every allocation.

use std::sync::Mutex;

use peak_alloc::PeakAlloc;

#[cfg(test)]
mod bombs;
#[cfg(test)]
mod prepare;

/// Held by a test while it measures: others would be counted too.
#[cfg(test)]
static ALONE: Mutex<()> = Mutex::new(());

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
