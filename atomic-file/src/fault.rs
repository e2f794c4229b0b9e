//! Points at which a test can let writing fail or the program die.
//!
//! In debug builds only, and only where the environment says so: `ATOMIC_FILE_FAULT=fail:7` lets the seventh point of the
//! process, and all after it, answer that the disk is full, `kill:7` ends the process there without any cleaning up.

use std::io;

/// A place where a disk may be full or a machine lose its power.
pub(crate) fn point() -> io::Result<()> {
    if cfg!(debug_assertions) {
        passed()
    } else {
        Ok(())
    }
}

fn passed() -> io::Result<()> {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };
    static PASSED: AtomicU64 = AtomicU64::new(0);
    static FAULT: OnceLock<Option<(bool, u64)>> = OnceLock::new();
    let fault = FAULT.get_or_init(|| {
        let text = std::env::var("ATOMIC_FILE_FAULT").ok()?;
        let (kind, place) = text.split_once(':')?;
        Some((kind == "kill", place.parse().ok()?))
    });
    let Some((kills, place)) = *fault else {
        return Ok(());
    };
    let now = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    match kills {
        // As a power cut would: no destructor runs.
        true if now == place => std::process::abort(),
        false if now >= place => Err(io::ErrorKind::StorageFull.into()),
        _ => Ok(()),
    }
}
