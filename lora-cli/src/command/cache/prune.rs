use std::time::Duration;

use anyhow::bail;
use clap::Args;
use lora_train::{PruneConfig, Pruned};
use serde::Serialize;

use super::{Place, size};
use crate::{cli::End, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora cache prune cache                     remove what is damaged or was left unfinished
  lora cache prune cache --unused-days 30    and what no run has used for a month
  lora cache prune cache --most 10GB --dry-run
  lora cache prune run.toml --all

Files that are none of the cache's stay, whatever is asked for. A run that goes on meanwhile
computes anew what it misses.";

const DAY: u64 = 24 * 60 * 60;

/// Remove entries that are damaged, and those that are no longer wanted
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Prune {
    #[command(flatten)]
    place: Place,
    /// Remove what no run has used for so many days
    #[arg(long, value_name = "DAYS")]
    unused_days: Option<u64>,
    /// Keep so much at most, as 500MB, 10GB or 2GiB; what was used last stays
    #[arg(long, value_name = "SIZE", value_parser = bytes)]
    most: Option<u64>,
    /// Remove all entries
    #[arg(long)]
    all: bool,
    /// Tell what would be removed, and remove nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    dry_run: bool,
    #[serde(flatten)]
    pruned: &'a Pruned,
}

impl Prune {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let cache = self.place.open()?;
        let pruned = cache.prune(&PruneConfig {
            unused: self
                .unused_days
                .map(|days| Duration::from_secs(days.saturating_mul(DAY))),
            most_bytes: self.most,
            all: self.all,
            dry_run: self.dry_run,
        })?;
        if self.json {
            printer.document(&Document {
                dry_run: self.dry_run,
                pruned: &pruned,
            });
        } else {
            let (removed, kept) = (pruned.removed.len(), pruned.kept);
            let done = if self.dry_run {
                "would be removed"
            } else {
                "removed"
            };
            printer.result(&format!(
                "{removed} {done}, {}; {kept} stay, {}",
                size(pruned.removed_bytes),
                size(pruned.kept_bytes)
            ));
        }
        Ok(End::Done)
    }
}

/// `500MB`, `10 GB`, `2GiB` or a number of bytes.
fn bytes(text: &str) -> anyhow::Result<u64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" | "k" => 1000,
        "mb" | "m" => 1000 * 1000,
        "gb" | "g" => 1000 * 1000 * 1000,
        "tb" | "t" => 1000 * 1000 * 1000 * 1000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => bail!("`{unit}` is no unit of bytes; write it as 500MB, 10GB or 2GiB"),
    };
    match number.parse::<f64>() {
        Ok(number) => Ok((number * factor as f64) as u64),
        Err(_) => bail!("write a number with a unit, as 500MB, 10GB or 2GiB"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, expected) in [
            ("12", 12),
            ("1.5kB", 1500),
            ("500 MB", 500_000_000),
            ("2GiB", 2 << 30),
            ("1t", 1_000_000_000_000),
        ] {
            assert_eq!(bytes(text).unwrap(), expected, "{text}");
        }
        for text in ["", "GB", "1.2.3MB", "10 bananas", "-1GB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
