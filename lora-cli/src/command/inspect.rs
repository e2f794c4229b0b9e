use std::{collections::BTreeMap, fmt::Display, path::PathBuf};

use clap::Args;
use lora_train::{InspectedHash, InspectedPart, Inspection};

use crate::{cli::End, printer::Printer};

/// Longer values of the metadata are cut in the table.
const VALUE_WIDTH: usize = 100;

const EXAMPLES: &str = "\
Examples:
  lora inspect style.safetensors
  lora inspect style.safetensors --json | jq .metadata.ss_network_dim";

/// Tell what is in a LoRA file: rank, alpha, layers, metadata, and whether its hashes hold
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// The LoRA file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let inspection = Inspection::open(&self.file)?;
        if self.json {
            printer.document(&inspection);
        } else {
            printer.result(&text(&inspection));
        }
        Ok(End::Done)
    }
}

fn text(inspection: &Inspection) -> String {
    let mut lines = vec![
        inspection.path.display().to_string(),
        format!("  size       {}", size(inspection.bytes)),
        format!("  dtype      {}", kinds(&inspection.dtypes)),
        format!("  parameters {}", inspection.parameters),
    ];
    lines.extend(inspection.parts.iter().map(part));
    lines.extend(inspection.hashes.iter().map(hash));
    if inspection.metadata.is_empty() {
        lines.push("no metadata".to_owned());
    } else {
        lines.push("metadata".to_owned());
    }
    let width = inspection
        .metadata
        .keys()
        .map(String::len)
        .max()
        .unwrap_or(0);
    let entry = |(key, value): (&String, &String)| format!("  {key:width$}  {}", cut(value));
    lines.extend(inspection.metadata.iter().map(entry));
    lines.join("\n")
}

fn part(part: &InspectedPart) -> String {
    format!(
        "  {}: {} layers, {} parameters, rank {}, alpha {}",
        part.name,
        part.modules,
        part.parameters,
        kinds(&part.ranks),
        kinds(&part.alphas)
    )
}

fn hash(hash: &InspectedHash) -> String {
    let verdict = match hash.holds {
        Some(true) => "holds",
        Some(false) => "DOES NOT HOLD: the contents changed after it was written",
        None => "not in the file; computed",
    };
    format!("  {} {} ({verdict})", hash.key, hash.computed)
}

/// The values, with how often each occurs where there are several.
fn kinds<K: Display>(counts: &BTreeMap<K, usize>) -> String {
    match counts.len() {
        1 => counts.keys().map(ToString::to_string).collect(),
        _ => counts
            .iter()
            .map(|(value, count)| format!("{value} (×{count})"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn cut(value: &str) -> String {
    let line = value.replace('\n', " ");
    match line.char_indices().nth(VALUE_WIDTH) {
        Some((end, _)) => format!("{}… ({} characters)", &line[..end], line.chars().count()),
        None => line,
    }
}

fn size(bytes: u64) -> String {
    match bytes as f64 {
        bytes if bytes < 1024.0 * 1024.0 => format!("{:.1} KiB", bytes / 1024.0),
        bytes => format!("{:.1} MiB", bytes / 1024.0 / 1024.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_between_characters() {
        let value = "é".repeat(VALUE_WIDTH + 1);
        assert_eq!(
            cut(&value),
            format!("{}… (101 characters)", "é".repeat(VALUE_WIDTH))
        );
        assert_eq!(cut("a\nb"), "a b");
    }
}
