//! Where a run stands, seen from outside.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use serde_json::Value;

use super::RunFolder;

/// So much of the end of a log is read, in bytes.
const LOG_END: u64 = 1 << 14;

impl RunFolder {
    /// Steps done and steps of the run in a folder, as the end of its log has them.
    pub(crate) fn progress(folder: &Path) -> Option<(u64, u64)> {
        let mut log = File::open(folder.join("metrics.jsonl")).ok()?;
        let length = log.metadata().ok()?.len();
        log.seek(SeekFrom::Start(length.saturating_sub(LOG_END)))
            .ok()?;
        let mut end = Vec::new();
        log.take(LOG_END).read_to_end(&mut end).ok()?;
        let end = String::from_utf8_lossy(&end);
        // The first line may be cut.
        let events = end.lines().rev();
        let mut events = events.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events.find_map(|event| Some((event["step"].as_u64()?, event["steps"].as_u64()?)))
    }
}
