//! How much memory a file takes that was made to take much; alone in its process, for it counts every allocation.

use peak_alloc::PeakAlloc;

#[cfg(test)]
mod bombs;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;
