use std::{env, fs, io::Write, path::Path, process::Command};

use anyhow::{Context, bail};
use clap::Args;
use lora_data::tags::{self, Caption, CaptionSet, Selection, TagsError};

use super::{edit_run::EditArguments, folder_arguments::FolderArguments};
use crate::{cli::End, printer::Printer};

const SET_EXAMPLES: &str = "\
Examples:
  lora tags set pictures fox.png \"sks fox, sitting, grass\"
  lora tags set dataset \"10_sks fox/one\" \"\" --dry-run";

/// Give one picture another caption; further lines of its file stay
#[derive(Args, Debug)]
#[command(after_help = SET_EXAMPLES)]
pub(crate) struct Set {
    #[command(flatten)]
    folder: FolderArguments,
    /// The picture by its name, with or without ending
    #[arg(value_name = "PICTURE")]
    picture: String,
    /// The caption
    #[arg(value_name = "TEXT")]
    text: String,
    #[command(flatten)]
    editing: EditArguments,
}

impl Set {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let edit = tags::Edit::SetCaption(self.text);
        let select = |set: &CaptionSet| the_one(set, &self.picture);
        self.editing.run(&self.folder, &edit, select, printer)
    }
}

const EDIT_EXAMPLES: &str = "\
Examples:
  lora tags edit pictures fox.png
  EDITOR=\"code --wait\" lora tags edit pictures fox.png

The editor is that of the variable VISUAL or EDITOR. Changes can be undone as any others.";

/// Open the caption file of one picture in a text editor
#[derive(Args, Debug)]
#[command(after_help = EDIT_EXAMPLES)]
pub(crate) struct Edit {
    #[command(flatten)]
    folder: FolderArguments,
    /// The picture by its name, with or without ending
    #[arg(value_name = "PICTURE")]
    picture: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Edit {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let program = editor_of_person()?;
        let mut editor = self.folder.edit(printer)?;
        let selection = the_one(editor.set(), &self.picture)?;
        let caption = editor.set().the_one_named(&self.picture)?;
        let text = text_from(&program, caption)?;
        let edit = tags::Edit::SetFile(text);
        let changes = editor.set().changes(&selection, &edit)?;
        EditArguments::written(self.json).apply(&self.folder, &mut editor, &changes, printer)
    }
}

fn the_one(set: &CaptionSet, name: &str) -> Result<Selection, TagsError> {
    set.the_one_named(name)?;
    set.named(name)
}

/// The text editor with its arguments.
fn editor_of_person() -> anyhow::Result<Vec<String>> {
    let set = ["VISUAL", "EDITOR"].into_iter().find_map(|name| {
        let words = env::var(name).ok()?;
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        (!words.is_empty()).then_some(words)
    });
    set.context("which text editor? Set the variable EDITOR, as EDITOR=nano; or use lora tags set")
}

/// Lets a person edit a copy of the caption file, and gives what it holds then.
fn text_from(program: &[String], caption: &Caption) -> anyhow::Result<String> {
    let stem = caption.picture().file_stem().unwrap_or_default();
    let mut copy = tempfile::Builder::new()
        .prefix(&format!("{}-", stem.to_string_lossy()))
        .suffix(".txt")
        .tempfile()
        .context("no file for the text editor can be made")?;
    copy.write_all(caption.text().unwrap_or_default().as_bytes())
        .and_then(|()| copy.flush())
        .context("the file for the text editor cannot be written")?;
    // The file itself is closed, so that editors that replace it can.
    let copy = copy.into_temp_path();
    run(program, &copy)?;
    let bytes = fs::read(&copy).context("what the text editor wrote cannot be read")?;
    String::from_utf8(bytes)
        .map_err(|_| anyhow::anyhow!("the text editor did not save as UTF-8; nothing was changed"))
}

fn run(program: &[String], file: &Path) -> anyhow::Result<()> {
    let name = &program[0];
    let status = Command::new(name)
        .args(&program[1..])
        .arg(file)
        .status()
        .with_context(|| format!("the text editor {name} cannot be started"))?;
    if !status.success() {
        bail!("the text editor {name} ended with {status}; nothing was changed");
    }
    Ok(())
}
