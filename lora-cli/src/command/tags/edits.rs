use clap::{Args, ValueEnum};
use lora_data::{
    tagger::TagPattern,
    tags::{self, CaptionSet, Place, Selection, SortOrder},
};

use super::{
    edit_run::EditArguments,
    folder_arguments::FolderArguments,
    selection_arguments::{SelectionArguments, tell_unknown},
};
use crate::{cli::End, printer::Printer};

const ADD_EXAMPLES: &str = "\
Examples:
  lora tags add pictures \"sks dog\" --front
  lora tags add pictures \"outdoors, day\" --where \"sky OR grass\" --dry-run
  lora tags add pictures \"sks dog\" --front --move";

/// Add tags to captions that do not have them
#[derive(Args, Debug)]
#[command(after_help = ADD_EXAMPLES)]
pub(crate) struct Add {
    #[command(flatten)]
    folder: FolderArguments,
    /// The tags, as in a caption; those that begin with a dash go to the end, behind --
    #[arg(value_name = "TAGS", required = true, value_parser = no_option)]
    tags: Vec<String>,
    /// Put them before all others; behind them when left out
    #[arg(long)]
    front: bool,
    /// Make the first of them the tag with this number, counted from 1
    #[arg(long, value_name = "N", conflicts_with = "front", value_parser = clap::value_parser!(u32).range(1..))]
    at: Option<u32>,
    /// Move those there that a caption has already
    #[arg(long = "move")]
    moved: bool,
    #[command(flatten)]
    editing: EditArguments,
    #[command(flatten)]
    selection: SelectionArguments,
}

/// Behind `--` everything is a tag, an option that was meant to be one too.
fn no_option(text: &str) -> Result<String, &'static str> {
    match text.strip_prefix("--") {
        Some(name) if name.starts_with(|letter: char| letter.is_ascii_lowercase()) => {
            Err("options go before the --")
        }
        _ => Ok(text.to_owned()),
    }
}

impl Add {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let edit = tags::Edit::Add {
            tags: self.tags,
            place: match self.at {
                Some(number) => Place::At(number as usize),
                None if self.front => Place::Front,
                None => Place::Back,
            },
            moved: self.moved,
        };
        let select = |set: &CaptionSet| self.selection.select(set, printer);
        self.editing.run(&self.folder, &edit, select, printer)
    }
}

const REMOVE_EXAMPLES: &str = "\
Examples:
  lora tags remove pictures \"red collar\"
  lora tags remove pictures \"*_background, solo\" --dry-run
  lora tags remove pictures '/^(red|blue) eyes$/' --where \"sks girl\"";

/// Remove tags: by name, with * for any letters, or /by regular expression/
#[derive(Args, Debug)]
#[command(after_help = REMOVE_EXAMPLES)]
pub(crate) struct Remove {
    #[command(flatten)]
    folder: FolderArguments,
    /// The tags
    #[arg(value_name = "TAGS", required = true, value_parser = patterns)]
    tags: Vec<Patterns>,
    #[command(flatten)]
    editing: EditArguments,
    #[command(flatten)]
    selection: SelectionArguments,
}

/// What one argument names. A type of its own, for clap takes a `Vec` for several values.
type Patterns = std::sync::Arc<[TagPattern]>;

fn patterns(text: &str) -> anyhow::Result<Patterns> {
    Ok(TagPattern::parse_list(text)?.into())
}

impl Remove {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let patterns: Vec<TagPattern> = self
            .tags
            .iter()
            .flat_map(|some| some.iter().cloned())
            .collect();
        let names: Vec<String> = names(&patterns);
        let edit = tags::Edit::Remove { patterns };
        let select = |set: &CaptionSet| {
            tell_unknown(
                set,
                &names.iter().map(String::as_str).collect::<Vec<_>>(),
                printer,
            );
            self.selection.select(set, printer)
        };
        self.editing.run(&self.folder, &edit, select, printer)
    }
}

fn names(patterns: &[TagPattern]) -> Vec<String> {
    let names = patterns.iter().filter_map(TagPattern::name);
    names.map(str::to_owned).collect()
}

const REPLACE_EXAMPLES: &str = "\
Examples:
  lora tags replace pictures \"1girl\" \"woman, solo\"
  lora tags replace pictures \"*_hair\" \"hair\" --where \"name:fox*\"
  lora tags replace pictures '/^(red|blue) eyes$/' '$1 iris' --dry-run
  lora tags replace pictures /_/ \" \"

With a regular expression, what it finds in a tag is replaced, and $1 is what its first group found.
What a caption has already does not come a second time.";

/// Write tags as another or as several
#[derive(Args, Debug)]
#[command(after_help = REPLACE_EXAMPLES)]
pub(crate) struct Replace {
    #[command(flatten)]
    folder: FolderArguments,
    /// The tags: a name, with * for any letters, or /a regular expression/
    #[arg(value_name = "OLD")]
    old: TagPattern,
    /// What is written instead
    #[arg(value_name = "NEW")]
    new: String,
    #[command(flatten)]
    editing: EditArguments,
    #[command(flatten)]
    selection: SelectionArguments,
}

impl Replace {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let name = self.old.name().map(str::to_owned);
        let edit = tags::Edit::Replace {
            old: self.old,
            new: self.new,
        };
        let select = |set: &CaptionSet| {
            tell_unknown(
                set,
                &name.iter().map(String::as_str).collect::<Vec<_>>(),
                printer,
            );
            self.selection.select(set, printer)
        };
        self.editing.run(&self.folder, &edit, select, printer)
    }
}

const RENAME_EXAMPLES: &str = "\
Examples:
  lora tags rename pictures \"grey hair\" \"gray hair\"
  lora tags rename pictures Long_Hair \"long hair\" --dry-run";

/// Rename a tag in all captions, in every spelling; where a caption has both, one stays
#[derive(Args, Debug)]
#[command(after_help = RENAME_EXAMPLES)]
pub(crate) struct Rename {
    #[command(flatten)]
    folder: FolderArguments,
    /// The tag
    #[arg(value_name = "OLD")]
    old: String,
    /// Its new name
    #[arg(value_name = "NEW")]
    new: String,
    #[command(flatten)]
    editing: EditArguments,
}

impl Rename {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let old = self.old.clone();
        let edit = tags::Edit::Rename {
            old: self.old,
            new: self.new,
        };
        let select = |set: &CaptionSet| {
            tell_unknown(set, &[&old], printer);
            Ok(Selection::all(set))
        };
        self.editing.run(&self.folder, &edit, select, printer)
    }
}

const SORT_EXAMPLES: &str = "\
Examples:
  lora tags sort pictures --keep 1
  lora tags sort pictures --by frequency --dry-run";

/// Sort the tags of captions
#[derive(Args, Debug)]
#[command(after_help = SORT_EXAMPLES)]
pub(crate) struct Sort {
    #[command(flatten)]
    folder: FolderArguments,
    /// By what: the alphabet, or the most frequent of the folder first
    #[arg(long, value_name = "ORDER", default_value = "name")]
    by: Order,
    /// How many tags at the front keep their place, such as the trigger word
    #[arg(long, value_name = "N", default_value_t = 0)]
    keep: usize,
    #[command(flatten)]
    editing: EditArguments,
    #[command(flatten)]
    selection: SelectionArguments,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Order {
    Name,
    Frequency,
}

impl Sort {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let edit = tags::Edit::Sort {
            by: match self.by {
                Order::Name => SortOrder::Name,
                Order::Frequency => SortOrder::Frequency,
            },
            keep: self.keep,
        };
        let select = |set: &CaptionSet| self.selection.select(set, printer);
        self.editing.run(&self.folder, &edit, select, printer)
    }
}

const DEDUPE_EXAMPLES: &str = "\
Examples:
  lora tags dedupe pictures
  lora tags dedupe pictures --variants --dry-run";

/// Remove tags that a caption has already further to the front
#[derive(Args, Debug)]
#[command(after_help = DEDUPE_EXAMPLES)]
pub(crate) struct Dedupe {
    #[command(flatten)]
    folder: FolderArguments,
    /// Count Long_Hair as "long hair"
    #[arg(long)]
    variants: bool,
    #[command(flatten)]
    editing: EditArguments,
    #[command(flatten)]
    selection: SelectionArguments,
}

impl Dedupe {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let edit = tags::Edit::Dedupe {
            variants: self.variants,
        };
        let select = |set: &CaptionSet| self.selection.select(set, printer);
        self.editing.run(&self.folder, &edit, select, printer)
    }
}
