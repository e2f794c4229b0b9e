use std::{collections::BTreeMap, fmt::Display, path::PathBuf};

use clap::Args;
use lora_train::{
    InspectedBase, InspectedComponent, InspectedHash, InspectedLora, InspectedPart, Inspection,
    TagCount,
};

use crate::{cli::End, output_arguments::size, printer::Printer};

/// Longer values of the metadata are cut in the table.
const VALUE_WIDTH: usize = 100;

const EXAMPLES: &str = "\
Examples:
  lora inspect style.safetensors
  lora inspect style.safetensors --json | jq .metadata.ss_network_dim
  lora inspect output/*.safetensors --json | jq .norms.total
  lora inspect model.safetensors

With --json there is one document for each file.";

/// Tell what is in LoRA files and base models: family, layout, layers, ranks, norms, metadata, hashes
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Inspect {
    /// LoRA files; or base models, .safetensors files or diffusers folders
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        for file in &self.files {
            let inspection = Inspection::open(file)?;
            match inspection {
                _ if self.json => printer.document(&inspection),
                Inspection::Lora(lora) => printer.result(&lora_text(&lora)),
                Inspection::Base(base) => printer.result(&base_text(&base)),
            }
        }
        Ok(End::Done)
    }
}

fn base_text(base: &InspectedBase) -> String {
    let mut lines = vec![
        base.path.display().to_string(),
        format!("  family     {}", base.family),
        format!("  layout     {}", base.layout),
    ];
    lines.extend(base.components.iter().map(component));
    lines.join("\n")
}

fn component(component: &InspectedComponent) -> String {
    format!(
        "  {}: {} tensors, {} parameters, {}",
        component.name,
        component.tensors,
        component.parameters,
        kinds(&component.dtypes)
    )
}

fn lora_text(inspection: &InspectedLora) -> String {
    let family = inspection
        .family
        .map_or("unknown".to_owned(), |family| family.to_string());
    let mut lines = vec![
        inspection.path.display().to_string(),
        format!("  family     {family}"),
        format!("  layout     {}", inspection.layout),
        format!("  size       {}", size(inspection.bytes)),
        format!("  dtype      {}", kinds(&inspection.dtypes)),
        format!("  parameters {}", inspection.parameters),
    ];
    lines.extend(inspection.parts.iter().map(part));
    lines.extend(inspection.hashes.iter().map(hash));
    lines.extend(tags(inspection));
    lines.extend(norms(inspection));
    if inspection.metadata.is_empty() {
        lines.push("no metadata".to_owned());
    } else {
        lines.push("metadata".to_owned());
    }
    let width = longest(inspection.metadata.keys());
    let entry = |(key, value): (&String, &String)| format!("  {key:width$}  {}", cut(value));
    lines.extend(inspection.metadata.iter().map(entry));
    lines.join("\n")
}

fn tags(inspection: &InspectedLora) -> Option<String> {
    let told = |tag: &TagCount| format!("{} (×{})", tag.tag, tag.count);
    let tags: Vec<String> = inspection.tags.iter().map(told).collect();
    (!tags.is_empty()).then(|| format!("  most frequent tags: {}", tags.join(", ")))
}

/// The norm of the correction, block by block.
fn norms(inspection: &InspectedLora) -> Vec<String> {
    let norms = &inspection.norms;
    let largest = norms
        .modules
        .get(&norms.largest)
        .copied()
        .unwrap_or_default();
    let mut lines = vec![format!(
        "norm of the correction: {:.4}, most of it in {} ({largest:.4})",
        norms.total, norms.largest
    )];
    let width = longest(norms.blocks.iter().map(|(block, _)| block));
    let line = |(block, norm): &(String, f64)| format!("  {block:width$}  {norm:.4}");
    lines.extend(norms.blocks.iter().map(line));
    lines
}

fn longest<'a>(names: impl Iterator<Item = &'a String>) -> usize {
    names.map(String::len).max().unwrap_or(0)
}

fn part(part: &InspectedPart) -> String {
    format!(
        "  {}: {} layers{}, {} parameters, rank {}, alpha {}",
        part.name,
        part.modules,
        form(part),
        part.parameters,
        kinds(&part.ranks),
        kinds(&part.alphas)
    )
}

/// What the layers' changes are, where that is not LoRA alone.
fn form(part: &InspectedPart) -> String {
    if part.kinds.keys().all(|kind| kind == "LoRA") {
        return String::new();
    }
    format!(" of {}", kinds(&part.kinds))
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
