use std::collections::BTreeMap;

use clap::Args;
use lora_core::Family;
use lora_train::preset::{ComparedSetting, Preset, Subject, setting_words};
use serde::Serialize;

use crate::{cli::End, printer::Printer};

const EXAMPLES: &str = "\
Examples:
  lora presets
  lora presets anime-sdxl-low-memory
  lora presets --json | jq '.[0].settings'

`lora init --preset anime` writes a run file of one; --low-memory and the model's family choose among its variants.";

/// Stands where a setting has no value.
const UNSET: &str = "·";

/// Show the presets side by side, or what one of them sets
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Presets {
    /// The preset to tell about
    #[arg(value_name = "NAME", value_parser = preset)]
    name: Option<Preset>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// The preset of that name, or which there are.
pub(super) fn preset(name: &str) -> Result<Preset, String> {
    Preset::named(name).ok_or_else(|| {
        let names: Vec<String> = Preset::all().map(Preset::name).collect();
        format!("there are {}", names.join(", "))
    })
}

#[derive(Serialize)]
struct Document {
    name: String,
    subject: Subject,
    family: Family,
    low_memory: bool,
    settings: BTreeMap<String, Option<String>>,
}

impl Presets {
    pub(crate) fn run(self, printer: &Printer) -> End {
        let presets: Vec<Preset> = match self.name {
            Some(preset) => vec![preset],
            None => Preset::all().collect(),
        };
        if self.json {
            printer.document(&presets.into_iter().map(document).collect::<Vec<_>>());
        } else if let [preset] = presets[..] {
            printer.result(&one(preset));
        } else {
            let tables: Vec<String> = presets
                .chunk_by(|one, other| one.family == other.family)
                .map(table)
                .collect();
            printer.result(&tables.join("\n\n"));
        }
        End::Done
    }
}

fn document(preset: Preset) -> Document {
    let rows = ComparedSetting::among(&[preset]);
    let value = |row: ComparedSetting| (row.key, row.values.into_iter().next().flatten());
    Document {
        name: preset.name(),
        subject: preset.subject,
        family: preset.family,
        low_memory: preset.low_memory,
        settings: rows.into_iter().map(value).collect(),
    }
}

/// The presets of a family, a column for each.
fn table(presets: &[Preset]) -> String {
    let family = presets.first().map_or(Family::Sd1, |preset| preset.family);
    let mut rows = vec![
        [family.to_string(), "default".to_owned()]
            .into_iter()
            .chain(presets.iter().map(|preset| preset.subject.to_string()))
            .collect::<Vec<_>>(),
        [String::new(), String::new()]
            .into_iter()
            .chain(
                presets
                    .iter()
                    .map(|preset| if preset.low_memory { "low memory" } else { "" }.to_owned()),
            )
            .collect(),
    ];
    for row in ComparedSetting::among(presets) {
        let values = [row.default].into_iter().chain(row.values);
        let values = values.map(|value| shown(value.as_deref()));
        rows.push([row.key.clone()].into_iter().chain(values).collect());
    }
    aligned(&rows)
}

/// A preset by itself: each setting with its default and what it means.
fn one(preset: Preset) -> String {
    let mut rows = vec![
        [
            String::new(),
            preset.name(),
            "default".to_owned(),
            String::new(),
        ]
        .to_vec(),
    ];
    for row in ComparedSetting::among(&[preset]) {
        let words = setting_words(&row.key)
            .map_or("", |words| words.words)
            .replace('`', "");
        let value = row.values.first().and_then(Option::as_deref);
        rows.push(vec![
            row.key.clone(),
            shown(value),
            shown(row.default.as_deref()),
            words,
        ]);
    }
    aligned(&rows)
}

fn shown(value: Option<&str>) -> String {
    value.unwrap_or(UNSET).trim_matches('"').to_owned()
}

/// Columns as wide as their widest cell.
fn aligned(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns)
        .map(|column| width(column).unwrap_or_default())
        .collect();
    let line = |row: &Vec<String>| {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}
