use std::path::PathBuf;

use clap::Args;
use lora_core::{
    Family,
    lora_file::{HashCheck, Unread},
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
    hashes: Vec<Hash<'a>>,
    unread: Vec<UnreadKeys<'a>>,
    base: Option<Base<'a>>,
}

#[derive(Serialize)]
struct Hash<'a> {
    key: &'a str,
    holds: Option<bool>,
}

#[derive(Serialize)]
struct UnreadKeys<'a> {
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
        lines.extend(found.base.iter().flat_map(|base| self.base_lines(base)));
        lines.extend(list("hold values that are no numbers", &found.not_finite));
        lines.extend(list("change nothing: they were not trained", &found.zero));
        lines.extend(found.hashes.iter().map(hash_line));
        if found.unread.is_empty() {
            lines.push("  A1111, ComfyUI, diffusers and sd-scripts read every key".to_owned());
        }
        lines.extend(found.unread.iter().map(unread_line));
        lines.join("\n")
    }

    fn base_lines(&self, base: &BaseCheck) -> Vec<String> {
        let path = self
            .base
            .as_ref()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        let mut lines = vec![if base.misfits.is_empty() {
            format!("  fits {path} ({})", base.family)
        } else {
            format!("  DOES NOT FIT {path} ({})", base.family)
        }];
        let misfits: Vec<String> = base.misfits.iter().map(ToString::to_string).collect();
        lines.extend(list("cannot be applied", &misfits));
        let missing = list(
            "have no module, though others of the same network have",
            &base.missing,
        );
        lines.extend(missing.map(|line| line.replacen("modules", "layers", 1)));
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
        hashes: found
            .hashes
            .iter()
            .map(|hash| Hash {
                key: hash.key,
                holds: hash.holds(),
            })
            .collect(),
        unread: found
            .unread
            .iter()
            .map(|unread| UnreadKeys {
                program: unread.program.to_string(),
                reason: unread.reason,
                keys: &unread.keys,
            })
            .collect(),
        base: found.base.as_ref().map(|base| Base {
            family: base.family,
            misfits: base.misfits.iter().map(ToString::to_string).collect(),
            missing: &base.missing,
        }),
    }
}

/// How many modules, and the first of them; nothing when there are none.
fn list(what: &str, names: &[String]) -> Option<String> {
    let first = names.iter().take(SHOWN).map(|name| format!("\n    {name}"));
    let more = names.len().saturating_sub(SHOWN);
    let rest = (more > 0).then(|| format!("\n    and {more} more"));
    let names_of = |count: usize| if count == 1 { "module" } else { "modules" };
    (!names.is_empty()).then(|| {
        let count = names.len();
        let lines: String = first.chain(rest).collect();
        format!("  {count} {} {what}:{lines}", names_of(count))
    })
}

fn hash_line(hash: &HashCheck) -> String {
    let verdict = match hash.holds() {
        Some(true) => "holds",
        Some(false) => "DOES NOT HOLD: the contents changed after it was written",
        None => "is not in the file",
    };
    format!("  {} {verdict}", hash.key)
}

fn unread_line(unread: &Unread) -> String {
    format!(
        "  {} passes over {} keys such as {}: {}",
        unread.program,
        unread.keys.len(),
        unread.keys.first().map_or("", String::as_str),
        unread.reason
    )
}
