use std::path::PathBuf;

use clap::Args;
use lora_data::tags::{CaptionOptions, CaptionSet, TagEditor, TagsError};

use crate::printer::Printer;

/// The folder, and how its captions are found and taken apart.
#[derive(Args, Debug)]
pub(super) struct FolderArguments {
    /// Folder of pictures, or of N_class folders
    #[arg(value_name = "FOLDER")]
    pub(super) folder: PathBuf,
    /// Enter all folders in the folder
    #[arg(short, long, help_heading = "Captions")]
    recursive: bool,
    /// The extension of caption files [default: txt, or caption where such a file is there]
    #[arg(long, value_name = "EXTENSION", help_heading = "Captions")]
    extension: Option<String>,
    /// What stands between two tags
    #[arg(long, value_name = "TEXT", help_heading = "Captions", default_value_t = CaptionOptions::default().separator)]
    separator: String,
    /// The mark that is kohya's keep_tokens_separator; "" for none
    #[arg(
        long,
        value_name = "TEXT",
        help_heading = "Captions",
        default_value = "|||"
    )]
    keep_tokens_separator: String,
}

impl FolderArguments {
    pub(super) fn read(&self, printer: &Printer) -> Result<CaptionSet, TagsError> {
        let set = CaptionSet::open(&self.folder, &self.options())?;
        tell(&set, printer);
        Ok(set)
    }

    pub(super) fn edit(&self, printer: &Printer) -> Result<TagEditor, TagsError> {
        let editor = TagEditor::open(&self.folder, &self.options())?;
        tell(editor.set(), printer);
        Ok(editor)
    }

    /// What names the folder and its captions on the command line.
    pub(super) fn words(&self) -> Vec<String> {
        let mut words = vec![self.folder.to_string_lossy().into_owned()];
        if self.recursive {
            words.push("--recursive".to_owned());
        }
        if let Some(extension) = &self.extension {
            words.extend(["--extension".to_owned(), extension.clone()]);
        }
        words
    }

    fn options(&self) -> CaptionOptions {
        let mark = &self.keep_tokens_separator;
        CaptionOptions {
            extension: self.extension.clone(),
            recursive: self.recursive,
            separator: self.separator.clone(),
            keep_tokens_separator: (!mark.is_empty()).then(|| mark.clone()),
        }
    }
}

fn tell(set: &CaptionSet, printer: &Printer) {
    for note in set.notes() {
        printer.note(note);
    }
}
