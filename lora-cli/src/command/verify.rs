use std::path::PathBuf;

use clap::Args;
use lora_core::{
    Family,
    lora_file::{HashCheck, Misread, Program},
    lora_tools::{BaseCheck, Verification},
    weights::Checkpoint,
};
use serde::Serialize;

use crate::{cli::End, printer::Printer};

/// More names than these are not spelled out.
const SHOWN: usize = 10;

const EXAMPLES: &str = "\
Examples:
  lora verify style.safetensors
  lora verify style.safetensors --base model.safetensors
  lora verify style.safetensors --base model/ --json | jq .usable

Exits with 1 when a value is no number, or a layer does not fit the base model.";

/// Check whether a LoRA file is sound, fits a base model, and is read whole by other programs
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// The LoRA file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The base model it should fit: a diffusers folder or a .safetensors checkpoint
    #[arg(long, value_name = "MODEL")]
    base: Option<PathBuf>,
    /// A diffusers folder whose configs are used instead of the model's, for checkpoints of unusual shape
    #[arg(long, value_name = "FOLDER", requires = "base")]
    config: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    usable: bool,
    layout: String,
    family: Option<Family>,
    modules: usize,
    not_finite: &'a [String],
    zero: &'a [String],
    not_adapted: &'a [String],
    hashes: Vec<Hash<'a>>,
    misread: Vec<MisreadKeys<'a>>,
    base: Option<Base<'a>>,
}

#[derive(Serialize)]
struct Hash<'a> {
    key: &'a str,
    holds: Option<bool>,
}

#[derive(Serialize)]
struct MisreadKeys<'a> {
    program: String,
    reason: &'a str,
    keys: &'a [String],
}

#[derive(Serialize)]
struct Base<'a> {
    family: Family,
    misfits: Vec<String>,
    missing: &'a [String],
}

impl Verify {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let open = |path: &PathBuf| Checkpoint::open(path, self.config.as_deref());
        let base = self.base.as_ref().map(open).transpose()?;
        let found = Verification::of(&self.file, base.as_ref())?;
        if self.json {
            printer.document(&document(&found));
        } else {
            printer.result(&self.text(&found));
        }
        Ok(if found.is_usable() {
            End::Done
        } else {
            End::Unfit
        })
    }

    fn text(&self, found: &Verification) -> String {
        let family = found
            .family
            .map_or("family unknown".to_owned(), |family| family.to_string());
        let mut lines = vec![format!(
            "{}: {} layout, {family}, {} modules",
            self.file.display(),
            found.form.layout,
            found.modules
        )];
        if let Some(base) = &found.base {
            lines.extend(self.base_lines(base, found.family));
        }
        lines.extend(list(
            "modules hold values that are no numbers",
            &found.not_finite,
        ));
        lines.extend(list(
            "modules change nothing: they were not trained",
            &found.zero,
        ));
        if found.base.is_none() {
            lines.extend(list(
                "modules are on layers that this program does not adapt",
                &found.not_adapted,
            ));
        }
        lines.extend(found.hashes.iter().map(hash_line));
        lines.extend(misread_lines(&found.misread));
        lines.join("\n")
    }

    fn base_lines(&self, base: &BaseCheck, family: Option<Family>) -> Vec<String> {
        let path = self
            .base
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        if let Some(family) = family.filter(|family| *family != base.family) {
            return vec![format!(
                "  DOES NOT FIT {path}: that is {}, the LoRA is for {family}",
                base.family
            )];
        }
        let verdict = if base.misfits.is_empty() {
            "fits"
        } else {
            "DOES NOT FIT"
        };
        let misfits: Vec<String> = base.misfits.iter().map(ToString::to_string).collect();
        let mut lines = vec![format!("  {verdict} {path} ({})", base.family)];
        lines.extend(list("modules cannot be applied", &misfits));
        lines.extend(list(
            "layers have no module, though others of their network have",
            &base.missing,
        ));
        lines
    }
}

fn document(found: &Verification) -> Document<'_> {
    Document {
        usable: found.is_usable(),
        layout: found.form.layout.to_string(),
        family: found.family,
        modules: found.modules,
        not_finite: &found.not_finite,
        zero: &found.zero,
        not_adapted: &found.not_adapted,
        hashes: found
            .hashes
            .iter()
            .map(|hash| Hash {
                key: hash.key,
                holds: hash.holds(),
            })
            .collect(),
        misread: found
            .misread
            .iter()
            .map(|misread| MisreadKeys {
                program: misread.program.to_string(),
                reason: misread.reason,
                keys: &misread.keys,
            })
            .collect(),
        base: found.base.as_ref().map(|base| Base {
            family: base.family,
            misfits: base.misfits.iter().map(ToString::to_string).collect(),
            missing: &base.missing,
        }),
    }
}

/// How many there are, and the first of them; nothing when there are none.
fn list(what: &str, names: &[String]) -> Option<String> {
    let mut lines = vec![format!("  {} {what}:", names.len())];
    lines.extend(names.iter().take(SHOWN).map(|name| format!("    {name}")));
    let more = names.len().saturating_sub(SHOWN);
    lines.extend((more > 0).then(|| format!("    and {more} more")));
    (!names.is_empty()).then(|| lines.join("\n"))
}

fn hash_line(hash: &HashCheck) -> String {
    let verdict = match hash.holds() {
        Some(true) => "holds",
        Some(false) => "DOES NOT HOLD: the contents changed after it was written",
        None => "is not in the file",
    };
    format!("  {} {verdict}", hash.key)
}

/// What programs do not read as it is meant, those with the same reason together.
fn misread_lines(misread: &[Misread]) -> Vec<String> {
    if misread.is_empty() {
        let programs = names(&Program::ALL);
        return vec![format!("  {programs} read every key as it is meant")];
    }
    let mut groups: Vec<(&Misread, Vec<Program>)> = Vec::new();
    for found in misread {
        let same = |(first, _): &&mut (&Misread, _)| {
            first.reason == found.reason && first.keys == found.keys
        };
        match groups.iter_mut().find(same) {
            Some((_, programs)) => programs.push(found.program),
            None => groups.push((found, vec![found.program])),
        }
    }
    let line = |(found, programs): &(&Misread, Vec<Program>)| {
        let (count, first) = (
            found.keys.len(),
            found.keys.first().map_or("", String::as_str),
        );
        let programs = names(programs);
        format!(
            "  not read as meant by {programs}: {count} keys such as {first}\n    {}",
            found.reason
        )
    };
    groups.iter().map(line).collect()
}

/// `A1111, ComfyUI and diffusers`.
fn names(programs: &[Program]) -> String {
    let names: Vec<String> = programs.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}
