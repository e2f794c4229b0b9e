use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use lora_core::{BaseModel, atomic_file::write_atomically, lora_file::LoraFile};
use lora_train::{Device, DrawSettings, Prompt, draw, infotext, picture::png};
use serde::Serialize;

use crate::{
    cli::End, draw_arguments::DrawArguments, lora_argument::LoraArgument,
    model_arguments::ModelArguments, printer::Printer,
};

const EXAMPLES: &str = "\
Examples:
  lora sample -m model.safetensors \"a photo of a cat\"
  lora sample -m model.safetensors --lora style.safetensors:0.8 -l 5 \"a cat\" \"a dog\"
  lora sample -m model.safetensors --prompts prompts.txt -o pictures

A prompt may end in options, as in kohya's sample files:
  a cat on a sofa --n blurry, dark --w 512 --h 768 --s 30 --l 7.5 --d 42
for what it should not show, width, height, steps, guidance and seed. The pictures carry their
settings as A1111 writes and reads them.";

/// Draw pictures, with or without LoRAs
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sample {
    /// What to draw
    #[arg(value_name = "PROMPT")]
    texts: Vec<String>,
    /// A LoRA file and its strength, 1 when left out; several add up
    #[arg(long = "lora", value_name = "FILE[:STRENGTH]")]
    loras: Vec<LoraArgument>,
    /// The folder for the pictures, or a .png file for a single one
    #[arg(short, long, value_name = "PATH", default_value = "samples")]
    out: PathBuf,
    /// Print the pictures' paths as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    drawing: DrawArguments,
}

#[derive(Serialize)]
struct Document {
    files: Vec<PathBuf>,
}

impl Sample {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let prompts = self.drawing.prompts(&self.texts)?;
        let names = self.names(prompts.len())?;
        let files = self.loras.iter().map(|lora| LoraFile::read(&lora.path));
        let files = files.collect::<Result<Vec<_>, _>>()?;
        let (mut model, device) = self.model.load(printer)?;
        self.add_loras(&mut model, &files, &device)?;
        let settings = self
            .drawing
            .settings(&model, &prompts, self.model.clip_skip);
        let bar = printer.bar(prompts.len() as u64, "pictures");
        for (prompt, path) in prompts.iter().zip(&names) {
            self.draw(&model, prompt, settings, path, &device)?;
            bar.inc(1);
            if !self.json {
                printer.result(&path.display().to_string());
            }
        }
        bar.finish_and_clear();
        if self.json {
            printer.document(&Document { files: names });
        }
        Ok(End::Done)
    }

    /// Where the pictures go: the file that was named, or the next free numbers of the folder.
    fn names(&self, count: usize) -> anyhow::Result<Vec<PathBuf>> {
        if count == 1
            && self
                .out
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
        {
            return Ok(vec![self.out.clone()]);
        }
        let last = last_number(&self.out).with_context(|| self.out.display().to_string())?;
        Ok((1..=count)
            .map(|index| self.out.join(format!("{:05}.png", last + index)))
            .collect())
    }

    fn add_loras(
        &self,
        model: &mut BaseModel,
        files: &[LoraFile],
        device: &Device,
    ) -> anyhow::Result<()> {
        for (argument, file) in self.loras.iter().zip(files) {
            let attached = model.add(file, argument.strength, device);
            attached.with_context(|| argument.path.display().to_string())?;
        }
        Ok(())
    }

    fn draw(
        &self,
        model: &BaseModel,
        prompt: &Prompt,
        settings: DrawSettings,
        path: &Path,
        device: &Device,
    ) -> anyhow::Result<()> {
        let loras: Vec<_> = self.loras.iter().map(LoraArgument::named).collect();
        for picture in draw(model, std::slice::from_ref(prompt), settings, device) {
            let text = infotext(prompt, settings, picture.dimensions(), &loras);
            let bytes = png::encode(&picture, Some(&text))?;
            write_atomically(path, |file| std::io::Write::write_all(file, &bytes))?;
        }
        Ok(())
    }
}

/// The highest number that begins a picture's name in `folder`, which is made if need be.
fn last_number(folder: &Path) -> std::io::Result<usize> {
    fs::create_dir_all(folder)?;
    let mut last = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let number = name.strip_suffix(".png").and_then(|stem| stem.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}
