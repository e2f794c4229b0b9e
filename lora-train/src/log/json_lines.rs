use std::io;

use super::LogFormat;
use crate::Event;

/// The file, seen from the run folder.
pub(crate) const FILE: &str = "metrics.jsonl";

/// Every event as a line of JSON.
#[derive(Debug)]
pub(super) struct JsonLines;

impl LogFormat for JsonLines {
    fn file(&self) -> &'static str {
        FILE
    }

    fn head(&self, _time: f64) -> Vec<u8> {
        Vec::new()
    }

    fn entry(&self, event: &Event<'_>, _time: f64) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        Ok(line)
    }
}
