use clap::{Args, Subcommand};

use crate::{cli::End, printer::Printer};

mod change_text;
mod edit_run;
mod edits;
mod folder_arguments;
mod look;
mod past;
mod picture;
mod selection_arguments;

const EXAMPLES: &str = "\
Examples:
  lora tags list pictures
  lora tags show pictures --where \"1girl AND (smile OR open mouth) AND NOT solo\"
  lora tags add pictures \"sks dog\" --front --dry-run
  lora tags remove pictures \"*_background, /^(red|blue) eyes$/\" --where \"sks dog\"
  lora tags rename pictures \"grey hair\" \"gray hair\"
  lora tags undo pictures

Which pictures: --where takes tags joined by AND (or a comma), OR, NOT and brackets. Words with
spaces between them are one tag; quotes hold letters together that would mean something else.
  long hair, *_hair       a tag by name; * stands for any letters; underscores, capitals and
                          escaped brackets do not count
  /^(red|blue) /          a tag in which the regular expression finds something
  text:dog                these letters in the caption; or text:/…/
  name:fox* folder:10_*   a picture's name, its folder
  tags>30 tokens>75       by number; also <, >=, <=, = and !=
  caption:none            no caption file; caption:empty is no tag

What an edit does not touch stays byte for byte: spaces and separators between tags, byte order
marks, line ends, further lines. Commas within {a, b|c} separate nothing, and kohya's ||| stays
where it is.

Every edit is whole or not at all, also when the machine stops in the middle, and can be undone:
a journal in the folder, .lora-tags.journal, has all texts before and after.";

/// Look through captions and edit them: counts, filters, changes of tags, undo
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Tags {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    List(look::List),
    Show(look::Show),
    Tokens(look::Tokens),
    Add(edits::Add),
    Remove(edits::Remove),
    Replace(edits::Replace),
    Rename(edits::Rename),
    Sort(edits::Sort),
    Dedupe(edits::Dedupe),
    Set(picture::Set),
    Edit(picture::Edit),
    Undo(past::Undo),
    Redo(past::Redo),
    History(past::History),
}

impl Tags {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        match self.what {
            What::List(list) => list.run(printer),
            What::Show(show) => show.run(printer),
            What::Tokens(tokens) => tokens.run(printer),
            What::Add(add) => add.run(printer),
            What::Remove(remove) => remove.run(printer),
            What::Replace(replace) => replace.run(printer),
            What::Rename(rename) => rename.run(printer),
            What::Sort(sort) => sort.run(printer),
            What::Dedupe(dedupe) => dedupe.run(printer),
            What::Set(set) => set.run(printer),
            What::Edit(edit) => edit.run(printer),
            What::Undo(undo) => undo.run(printer),
            What::Redo(redo) => redo.run(printer),
            What::History(history) => history.run(printer),
        }
    }
}
