use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use lora_core::{
    Family,
    weights::{Checkpoint, CheckpointError},
};
use lora_train::preset::{PictureSurvey, Preset, StartingPoint};

use super::presets::preset;
use crate::{
    cli::End, family_argument::family, name_list::counted, printer::Printer,
    run_file_output::RunFileOutput,
};

const EXAMPLES: &str = "\
Examples:
  lora init --model sd15.safetensors --pictures dataset --trigger \"sks dog\"
  lora init --preset anime --model anime.safetensors --pictures dataset --trigger miku --out miku.toml
  lora init --model sdxl.safetensors --pictures dataset --trigger \"sks dog\" --low-memory

`lora presets` shows the presets side by side. The file is yours to change; each line says what it means.";

/// Write a run file with comments: from a preset, a model, a folder of pictures and a trigger word
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Init {
    /// What the pictures show: portrait, landscape or anime; or any name that `lora presets` lists
    #[arg(long, value_name = "PRESET", value_parser = preset, default_value = "portrait")]
    preset: Preset,
    /// The family of the model; seen from the model where that is there
    #[arg(long, value_name = "FAMILY", value_parser = family())]
    family: Option<Family>,
    /// Go easy on memory: one picture at a time, the base in eight bits, its blocks computed twice
    #[arg(long)]
    low_memory: bool,
    /// The base model: a diffusers folder or a .safetensors checkpoint
    #[arg(short, long, value_name = "PATH")]
    model: PathBuf,
    /// Folder of pictures, or of N_words folders
    #[arg(short, long, value_name = "FOLDER")]
    pictures: PathBuf,
    /// The word that is to call what the pictures show
    #[arg(short, long, value_name = "WORD", value_parser = trigger)]
    trigger: String,
    #[command(flatten)]
    output: RunFileOutput,
}

fn trigger(word: &str) -> Result<String, &'static str> {
    match word.trim() {
        "" => Err("it is empty; take a word that the model does not know, such as \"sks dog\""),
        word if word.chars().any(char::is_control) || word.contains("--") => {
            Err("it is one line, without --")
        }
        word => Ok(word.to_owned()),
    }
}

impl Init {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        self.output.check()?;
        let survey = PictureSurvey::open(&self.pictures, &self.trigger)?;
        let family = self.family(printer)?;
        let point = StartingPoint {
            preset: Preset {
                family,
                low_memory: self.low_memory || self.preset.low_memory,
                ..self.preset
            },
            model: self.model,
            pictures: self.pictures,
            trigger: self.trigger,
            survey,
        };
        self.output.write(&point.text(self.output.folder()))?;
        for note in notes(&point) {
            printer.note(&note);
        }
        let file = self.output.out.display().to_string();
        printer.result(&format!("wrote {file}: {}", point.preset.name()));
        printer.result(&next(&point, &file));
        Ok(End::Done)
    }

    /// The family, seen from the model where that is there.
    fn family(&self, printer: &Printer) -> anyhow::Result<Family> {
        // The plain names are for any family.
        let named = Some(self.preset.family).filter(|family| *family != Family::default());
        let said = self.family.or(named);
        let seen = match Checkpoint::open(&self.model, None) {
            Ok(checkpoint) => checkpoint.family(),
            Err(CheckpointError::ConfigNeeded { family, .. }) => family,
            Err(CheckpointError::NotFound { .. }) => {
                let family = said.unwrap_or_default();
                let model = self.model.display();
                let how = if said.is_some() {
                    "as --family says"
                } else {
                    "which --family would say"
                };
                printer.note(&format!(
                    "{model} is not there yet; taken for {family}, {how}"
                ));
                return Ok(family);
            }
            Err(error) => return Err(error).context("the model cannot be trained with"),
        };
        match said {
            Some(said) if said != seen => {
                bail!(
                    "{} is {seen}, not {said}; leave the family out",
                    self.model.display()
                )
            }
            _ => printer.note(&format!("{} is {seen}", self.model.display())),
        }
        Ok(seen)
    }
}

fn notes(point: &StartingPoint) -> Vec<String> {
    let PictureSurvey {
        pictures,
        without_caption,
        without_trigger,
        named,
    } = &point.survey;
    let folder = point.pictures.display();
    let mut notes = vec![format!("{folder}: {}", counted(*pictures, "picture"))];
    if !named.is_empty() {
        let names: Vec<&str> = named.keys().map(String::as_str).collect();
        let usual = point.preset.repeats();
        notes.push(format!(
            "repeats from the folder's name: {}; the preset's would be {usual}",
            names.join(", ")
        ));
    } else if *pictures > 0 {
        notes.push(showings(point));
    }
    if *without_caption > 0 {
        notes.push(format!(
            "{} no caption: the class words alone are trained",
            have(*without_caption)
        ));
    }
    if *without_trigger > 0 {
        notes.push(format!(
            "{} a caption without \"{}\"",
            have(*without_trigger),
            point.trigger
        ));
    }
    notes
}

/// What the preset's repeats come to.
fn showings(point: &StartingPoint) -> String {
    let train = point.preset.config().train;
    let (pictures, repeats) = (
        point.survey.pictures as u64,
        u64::from(point.preset.repeats()),
    );
    let at_once = (train.batch_size.get() * train.accumulation.get()) as u64;
    let steps = (pictures * repeats).div_ceil(at_once) * train.epochs;
    format!(
        "{pictures} pictures × {repeats} repeats × {} epochs / {at_once} at once: about {steps} steps, which show each picture {} times; \
         fewer repeats make it shorter",
        train.epochs,
        repeats * train.epochs
    )
}

/// `3 pictures have`, `1 picture has`.
fn have(count: usize) -> String {
    let verb = if count == 1 { "has" } else { "have" };
    format!("{} {verb}", counted(count, "picture"))
}

/// What to do next, as commands.
fn next(point: &StartingPoint, file: &str) -> String {
    let (folder, trigger) = (
        quoted(&point.pictures.display().to_string()),
        quoted(&point.trigger),
    );
    let file = quoted(file);
    let mut lines = vec!["next:".to_owned()];
    let mut add = |command: String, what: &str| lines.push(format!("  {command:46}  {what}"));
    if point.survey.without_caption > 0 {
        add(
            format!("lora tag {folder} -m TAGGER --prepend {trigger}"),
            "write captions",
        );
    }
    if point.survey.without_trigger > 0 {
        add(
            format!("lora tags add {folder} {trigger} --front"),
            "put the trigger word in front",
        );
    }
    add(
        format!("lora lint {file}"),
        "see what is odd about the pictures",
    );
    add(format!("lora plan {file}"), "see what the run will do");
    add(format!("lora train {file}"), "train");
    lines.join("\n")
}

/// As a shell takes it for one word.
fn quoted(word: &str) -> String {
    if word
        .chars()
        .all(|letter| letter.is_alphanumeric() || "./_-~:".contains(letter))
    {
        word.to_owned()
    } else {
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
    }
}
