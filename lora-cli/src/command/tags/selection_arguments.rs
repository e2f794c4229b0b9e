use clap::Args;
use lora_core::tokenizer::Tokenizer;
use lora_data::tags::{CaptionSet, Filter, Selection, TagsError};
use unicode_width::UnicodeWidthStr;

use crate::printer::Printer;

/// Which pictures: all, unless something is said.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which pictures")]
pub(super) struct SelectionArguments {
    /// Pictures whose captions are so, as "1girl AND NOT solo"; see lora tags --help
    #[arg(long = "where", value_name = "FILTER", value_parser = filter)]
    filter: Option<Filter>,
    /// Pictures of this name; may be given several times
    #[arg(long, value_name = "PICTURE")]
    only: Vec<String>,
}

impl SelectionArguments {
    pub(super) fn select(
        &self,
        set: &CaptionSet,
        printer: &Printer,
    ) -> Result<Selection, TagsError> {
        self.select_from(set, &[], printer)
    }

    /// Of the pictures with one of these names or of those of `--only`, or of all where none is named, those that the
    /// filter wants.
    pub(super) fn select_from(
        &self,
        set: &CaptionSet,
        names: &[String],
        printer: &Printer,
    ) -> Result<Selection, TagsError> {
        let mut names = names.iter().chain(&self.only).peekable();
        let named = if names.peek().is_none() {
            Selection::all(set)
        } else {
            let mut indices = Vec::new();
            for name in names {
                indices.extend_from_slice(set.named(name)?.indices());
            }
            Selection::new(indices)
        };
        let Some(filter) = &self.filter else {
            return Ok(named);
        };
        tell_unknown(set, &filter.tag_names(), printer);
        let tokenizer = Tokenizer::clip();
        let wanted = set.select(filter, &|text| tokenizer.count(text));
        Ok(named.and(&wanted))
    }
}

/// Says which of these tags no caption has.
pub(super) fn tell_unknown(set: &CaptionSet, tags: &[&str], printer: &Printer) {
    for (tag, similar) in set.unknown(tags) {
        let words: Vec<&str> = tag.split_whitespace().collect();
        let hint = match similar {
            Some(similar) => format!("; did you mean \"{similar}\"?"),
            None if words.len() > 1 && set.unknown(&words).is_empty() => {
                format!(
                    "; for captions that have each, write {}",
                    words.join(" AND ")
                )
            }
            None => String::new(),
        };
        printer.note(&format!("no caption has the tag \"{tag}\"{hint}"));
    }
}

/// Reads a filter; what is wrong with it is shown below it.
fn filter(text: &str) -> Result<Filter, String> {
    text.parse::<Filter>().map_err(|error| {
        let before: String = text.chars().take(error.column - 1).collect();
        let spaces = " ".repeat(before.width());
        format!("{error}\n  {text}\n  {spaces}^")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_point_at_their_letter_whatever_its_width() {
        let told = filter("狐, b AND").unwrap_err();
        let (text, mark) = told.split_once("\n  狐, b AND\n  ").unwrap();
        assert!(text.starts_with("column 9: "));
        assert_eq!(mark, "         ^");
    }
}
