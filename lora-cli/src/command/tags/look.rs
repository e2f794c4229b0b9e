use clap::{Args, ValueEnum};
use lora_core::tokenizer::{CHUNK_LENGTH, Tokenizer};
use lora_data::tags::{Caption, CaptionSet, Selection};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::{folder_arguments::FolderArguments, selection_arguments::SelectionArguments};
use crate::{cli::End, printer::Printer};

/// Longer names of pictures do not push all captions to the right.
const NAME_WIDTH: usize = 40;

const LIST_EXAMPLES: &str = "\
Examples:
  lora tags list pictures
  lora tags list pictures --sort name
  lora tags list dataset --where \"folder:10_* AND NOT sks dog\" --json";

/// List all tags with how many pictures have them
#[derive(Args, Debug)]
#[command(after_help = LIST_EXAMPLES)]
pub(crate) struct List {
    #[command(flatten)]
    folder: FolderArguments,
    /// What comes first: the most frequent, or by the alphabet
    #[arg(long, value_name = "ORDER", default_value = "count")]
    sort: Order,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SelectionArguments,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Order {
    Count,
    Name,
}

impl List {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let set = self.folder.read(printer)?;
        let selection = self.selection.select(&set, printer)?;
        let mut counts = set.counts(&selection);
        if self.sort == Order::Name {
            counts.sort_by_cached_key(|count| (count.tag.to_lowercase(), count.tag.clone()));
        }
        if self.json {
            printer.document(&counts);
            return Ok(End::Done);
        }
        let most = counts.iter().map(|count| count.pictures).max();
        let width = most.unwrap_or(0).to_string().len();
        let mut lines: Vec<String> = counts
            .iter()
            .map(|count| format!("{:>width$}  {}", count.pictures, count.tag))
            .collect();
        lines.push(format!(
            "{} different tags in {}",
            counts.len(),
            pictures(&set, &selection)
        ));
        printer.result(&lines.join("\n"));
        Ok(End::Done)
    }
}

const SHOW_EXAMPLES: &str = "\
Examples:
  lora tags show pictures
  lora tags show pictures fox.png 狐
  lora tags show pictures --where \"caption:empty OR tags>40\"";

/// Show pictures with their captions
#[derive(Args, Debug)]
#[command(after_help = SHOW_EXAMPLES)]
pub(crate) struct Show {
    #[command(flatten)]
    folder: FolderArguments,
    /// Pictures by their name, with or without ending; all when left out
    #[arg(value_name = "PICTURE")]
    pictures: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SelectionArguments,
}

#[derive(Serialize)]
struct CaptionDocument<'a> {
    picture: &'a str,
    /// Null where there is none.
    file: Option<String>,
    caption: &'a str,
    tags: Vec<&'a str>,
}

impl Show {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let set = self.folder.read(printer)?;
        let selection = self.selection.select_from(&set, &self.pictures, printer)?;
        let shown = captions(&set, &selection);
        if self.json {
            let documents: Vec<CaptionDocument<'_>> = shown.map(document).collect();
            printer.document(&documents);
            return Ok(End::Done);
        }
        let names = captions(&set, &selection).map(|caption| caption.name().width());
        let width = names
            .filter(|width| *width <= NAME_WIDTH)
            .max()
            .unwrap_or(0);
        let mut lines: Vec<String> = shown
            .map(|caption| format!("{}  {}", padded(caption.name(), width), words(caption)))
            .collect();
        lines.push(pictures(&set, &selection));
        printer.result(&lines.join("\n"));
        Ok(End::Done)
    }
}

const TOKENS_EXAMPLES: &str = "\
Examples:
  lora tags tokens pictures
  lora tags tokens pictures --most 150 --where \"tokens>75\"

Counted as CLIP's tokenizer does, with the longest alternative of wildcards and without the trigger
word or prefix that a config may add; lora lint goes by a config. What is beyond 75 tokens is not used,
unless model.max_tokens is 150 or 225.";

/// Count the tokens of captions, the longest first
#[derive(Args, Debug)]
#[command(after_help = TOKENS_EXAMPLES)]
pub(crate) struct Tokens {
    #[command(flatten)]
    folder: FolderArguments,
    /// Mark captions of more tokens
    #[arg(long, value_name = "N", default_value_t = CHUNK_LENGTH)]
    most: usize,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    selection: SelectionArguments,
}

#[derive(Serialize)]
struct TokensDocument<'a> {
    picture: &'a str,
    tokens: usize,
    /// Whether it has more than `--most`.
    over: bool,
}

impl Tokens {
    pub(super) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let set = self.folder.read(printer)?;
        let selection = self.selection.select(&set, printer)?;
        let tokenizer = Tokenizer::clip();
        let mut counted: Vec<TokensDocument<'_>> = captions(&set, &selection)
            .map(|caption| {
                let tokens = caption.tokens(&|text| tokenizer.count(text));
                TokensDocument {
                    picture: caption.name(),
                    tokens,
                    over: tokens > self.most,
                }
            })
            .collect();
        counted.sort_by_key(|one| std::cmp::Reverse(one.tokens));
        if self.json {
            printer.document(&counted);
            return Ok(End::Done);
        }
        let width = counted
            .first()
            .map_or(0, |one| one.tokens.to_string().len());
        let mut lines: Vec<String> = counted
            .iter()
            .map(|one| {
                let mark = if one.over {
                    format!("  {} too many", one.tokens - self.most)
                } else {
                    String::new()
                };
                format!("{:>width$}  {}{mark}", one.tokens, one.picture)
            })
            .collect();
        let over = counted.iter().filter(|one| one.over).count();
        let all = counted.len();
        lines.push(format!(
            "{over} of {all} captions have more than {} tokens",
            self.most
        ));
        printer.result(&lines.join("\n"));
        Ok(End::Done)
    }
}

fn captions<'a>(
    set: &'a CaptionSet,
    selection: &'a Selection,
) -> impl Iterator<Item = &'a Caption> {
    selection
        .indices()
        .iter()
        .map(|&index| &set.captions()[index])
}

fn document(caption: &Caption) -> CaptionDocument<'_> {
    CaptionDocument {
        picture: caption.name(),
        file: caption
            .has_file()
            .then(|| caption.file().display().to_string()),
        caption: caption.caption(),
        tags: caption.tags().collect(),
    }
}

fn words(caption: &Caption) -> &str {
    match caption.caption() {
        "" if caption.has_file() => "(empty)",
        "" => "(no caption file)",
        words => words,
    }
}

/// `24 pictures`, or `3 of 24 pictures`.
fn pictures(set: &CaptionSet, selection: &Selection) -> String {
    let (some, all) = (selection.len(), set.captions().len());
    let noun = if all == 1 { "picture" } else { "pictures" };
    if some == all {
        format!("{all} {noun}")
    } else {
        format!("{some} of {all} {noun}")
    }
}

/// Filled up with spaces to a width on the screen, where Chinese letters take two columns.
fn padded(text: &str, width: usize) -> String {
    let missing = width.saturating_sub(text.width());
    format!("{text}{}", " ".repeat(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_as_they_are_shown() {
        assert_eq!(padded("狐.png", 8), "狐.png  ");
        assert_eq!(padded("fox.png", 8), "fox.png ");
        assert_eq!(padded("long name.png", 8), "long name.png");
    }
}
