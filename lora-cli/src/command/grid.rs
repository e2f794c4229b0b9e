use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use clap::Args;
use lora_core::atomic_file::write_atomically;
use lora_train::{
    Comparison, Flow, STRENGTHS,
    picture::{grid_page, png},
};
use serde::Serialize;

use crate::{
    cli::End, draw_arguments::DrawArguments, model_arguments::ModelArguments, printer::Printer,
};

const EXAMPLES: &str = "\
Examples:
  lora grid -m model.safetensors output/ -p \"a photo of sks dog\"
  lora grid -m model.safetensors output/dog-00000?.safetensors -p \"sks dog\" -p \"a dog\"
  lora grid -m model.safetensors style.safetensors --strengths 0,0.6,0.8,1 -p \"a cat\" -o style

Every file is a column and every strength a row; strength 0 is the model without LoRA. `-o style`
writes style.png and style.html, which stands alone and enlarges what is clicked.";

/// Compare LoRA files at several strengths in one labelled picture
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Grid {
    /// LoRA files, or folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to draw; several stand side by side in each cell
    #[arg(short, long = "prompt", value_name = "PROMPT")]
    prompt: Vec<String>,
    /// The rows
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = STRENGTHS, allow_negative_numbers = true)]
    strengths: Vec<f32>,
    /// Where to write to, without extension
    #[arg(short, long, value_name = "PATH", default_value = "grid")]
    out: PathBuf,
    /// Print the paths as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    drawing: DrawArguments,
}

#[derive(Serialize)]
struct Document {
    png: PathBuf,
    html: PathBuf,
}

impl Grid {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let prompts = self.drawing.prompts(&self.prompt)?;
        let files = lora_files(&self.files)?;
        if let Some(folder) = self.out.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        let (mut model, device) = self.model.load(printer)?;
        let settings = self.drawing.settings(&model, self.model.clip_skip);
        let comparison = Comparison {
            files,
            strengths: self.strengths,
            prompts,
            settings,
        };
        let bar = printer.bar(comparison.drawings() as u64, "cells");
        let grid = comparison.draw(&mut model, &device, |done| {
            bar.set_position(done as u64);
            Flow::Continue(())
        })?;
        bar.finish_and_clear();
        let document = Document {
            png: with_ending(&self.out, "png"),
            html: with_ending(&self.out, "html"),
        };
        let write =
            |path: &Path, bytes: &[u8]| write_atomically(path, |file| file.write_all(bytes));
        write(&document.png, &png::encode(&grid.render(), None)?)?;
        write(&document.html, grid_page(&grid)?.as_bytes())?;
        if self.json {
            printer.document(&document);
        } else {
            printer.result(&format!(
                "{}\n{}",
                document.png.display(),
                document.html.display()
            ));
        }
        Ok(End::Done)
    }
}

/// The files that were named, and those of the folders that were, by name.
fn lora_files(given: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.with_context(|| path.display().to_string())?;
        let mut inside: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
        inside.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "safetensors")
        });
        if inside.is_empty() {
            bail!("{}: there is no .safetensors file in it", path.display());
        }
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

/// `style` and `style.png` mean the same; `style-0.5` keeps its number.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let bare = ["png", "html"].iter().find(|known| {
        path.extension()
            .is_some_and(|extension| extension == **known)
    });
    let mut name = if bare.is_some() {
        path.with_extension("")
    } else {
        path.to_path_buf()
    }
    .into_os_string();
    name.push(".");
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_is_added_or_replaced() {
        for (given, expected) in [
            ("a/style", "a/style.png"),
            ("style.html", "style.png"),
            ("v0.5", "v0.5.png"),
        ] {
            assert_eq!(
                with_ending(Path::new(given), "png"),
                PathBuf::from(expected)
            );
        }
    }
}
