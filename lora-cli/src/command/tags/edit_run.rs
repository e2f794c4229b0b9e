use std::{env, ops::ControlFlow};

use clap::Args;
use lora_data::tags::{CaptionSet, Changes, Edit, EditStep, Selection, TagEditor, TagsError};
use lora_train::Handle;
use serde::Serialize;

use super::{
    change_text::{self, ChangeDocument},
    folder_arguments::FolderArguments,
};
use crate::{cli::End, interrupt, printer::Printer};

/// What all edits have in common.
#[derive(Args, Debug)]
pub(super) struct EditArguments {
    /// Print what would change, line by line, and write nothing
    #[arg(long)]
    dry_run: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    command: &'a str,
    dry_run: bool,
    /// How many pictures were looked at.
    selected: usize,
    changed: Vec<ChangeDocument<'a>>,
}

impl EditArguments {
    /// Those of an edit that is written in any case.
    pub(super) fn written(json: bool) -> Self {
        Self {
            dry_run: false,
            json,
        }
    }

    /// Does `edit` to the pictures that `select` picks, or tells what it would do.
    pub(super) fn run(
        &self,
        folder: &FolderArguments,
        edit: &Edit,
        select: impl FnOnce(&CaptionSet) -> Result<Selection, TagsError>,
        printer: &Printer,
    ) -> anyhow::Result<End> {
        let command = command_line();
        if self.dry_run {
            let set = folder.read(printer)?;
            let selection = select(&set)?;
            let changes = set.changes(&selection, edit)?;
            self.tell(folder, &command, selection.len(), &changes, printer);
            return Ok(End::Done);
        }
        let mut editor = folder.edit(printer)?;
        let selection = select(editor.set())?;
        let changes = editor.set().changes(&selection, edit)?;
        let end = write(printer, changes.len(), |on_step| {
            editor.apply(&changes, &command, on_step).map(|_| ())
        })?;
        if end == End::Done {
            self.tell(folder, &command, selection.len(), &changes, printer);
        }
        Ok(end)
    }

    /// Writes changes that are known already.
    pub(super) fn apply(
        &self,
        folder: &FolderArguments,
        editor: &mut TagEditor,
        changes: &Changes,
        printer: &Printer,
    ) -> anyhow::Result<End> {
        let command = command_line();
        let end = write(printer, changes.len(), |on_step| {
            editor.apply(changes, &command, on_step).map(|_| ())
        })?;
        if end == End::Done {
            self.tell(folder, &command, 1, changes, printer);
        }
        Ok(end)
    }

    fn tell(
        &self,
        folder: &FolderArguments,
        command: &str,
        selected: usize,
        changes: &Changes,
        printer: &Printer,
    ) {
        if self.json {
            printer.document(&Document {
                command,
                dry_run: self.dry_run,
                selected,
                changed: change_text::documents(changes),
            });
            return;
        }
        if self.dry_run && !changes.is_empty() {
            printer.result(&change_text::diff(changes));
        }
        let changed = changes.len();
        let of = format!("{changed} of {}", captions(selected));
        printer.result(&match (self.dry_run, changed) {
            (_, 0) if selected == 0 => "no picture is so; nothing changes".to_owned(),
            (_, 0) => format!("nothing changes in {}", captions(selected)),
            (true, _) => format!("{of} would change"),
            (false, _) => format!("{of} changed; {}", undo_hint(folder)),
        });
    }
}

fn undo_hint(folder: &FolderArguments) -> String {
    let words = folder
        .words()
        .iter()
        .map(|word| quoted(word))
        .collect::<Vec<_>>();
    format!("lora tags undo {} takes it back", words.join(" "))
}

pub(super) fn captions(count: usize) -> String {
    match count {
        1 => "1 caption".to_owned(),
        count => format!("{count} captions"),
    }
}

/// Lets `act` write, with a bar, until Ctrl-C.
pub(super) fn write(
    printer: &Printer,
    files: usize,
    act: impl FnOnce(&(dyn Fn(EditStep) -> ControlFlow<()> + Sync)) -> Result<(), TagsError>,
) -> anyhow::Result<End> {
    let handle = Handle::default();
    interrupt::stop_on_ctrl_c(handle.clone(), printer.clone())?;
    let bar = printer.bar(files as u64, "captions");
    let written = act(&|step| {
        if let EditStep::Written { done, .. } = step {
            bar.set_position(done as u64);
        }
        if handle.is_stopping() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    bar.finish_and_clear();
    match written {
        Ok(()) => Ok(End::Done),
        Err(stopped @ TagsError::Stopped) => {
            printer.note(&stopped.to_string());
            Ok(End::Stopped)
        }
        Err(error) => Err(error.into()),
    }
}

/// What was typed, for the journal.
pub(super) fn command_line() -> String {
    let words = env::args_os().skip(1);
    let words = words.map(|word| quoted(&word.to_string_lossy()));
    ["lora".to_owned()]
        .into_iter()
        .chain(words)
        .collect::<Vec<_>>()
        .join(" ")
}

/// A word as a shell would want it.
fn quoted(word: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "-_./:=,+@%".contains(letter);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else if word.contains(['"', '$', '\\', '`', '!']) {
        format!("'{}'", word.replace('\'', "'\\''"))
    } else {
        format!("\"{word}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_split_them() {
        for (word, expected) in [
            ("pictures/10_a", "pictures/10_a"),
            ("sks dog", "\"sks dog\""),
            ("", "\"\""),
            ("狐", "狐"),
            ("/^(a|b)$/", "'/^(a|b)$/'"),
            ("it's \"so\"", "'it'\\''s \"so\"'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}
