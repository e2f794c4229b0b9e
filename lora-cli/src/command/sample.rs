use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use atomic_file::write_atomically;
use clap::Args;
use lora_core::BaseModel;
use lora_train::{
    Device, DrawSettings, LoraFolder, Prompt, PromptLoras, Provenance, SourceFile, batches, draw,
    infotext, picture::png,
};
use serde::Serialize;

use crate::{
    cli::End, draw_arguments::DrawArguments, lora_argument::LoraArgument,
    model_arguments::ModelArguments, output_arguments::prepare, printer::Printer,
};

const EXAMPLES: &str = "\
Examples:
  lora sample -m model.safetensors \"a photo of a cat\"
  lora sample -m model.safetensors --lora style.safetensors:0.8 -l 5 \"a cat\" \"a dog\"
  lora sample -m model.safetensors --lora-dir loras --count 4 \"a (red:1.2) fox <lora:style:0.8>\"
  lora sample -m model.safetensors --prompts prompts.txt -o pictures

Prompts are read as A1111 reads them: (word:1.2), [word], BREAK, <lora:NAME:TE:UNET>, any length.
A prompt may end in options, as in kohya's sample files:
  a cat on a sofa --n blurry, dark --w 512 --h 768 --s 30 --l 7.5 --d 42 --ss euler-a
for what it should not show, width, height, steps, guidance, seed and sampler. The pictures carry
their settings as A1111 writes and reads them.";

/// Draw pictures, with or without LoRAs
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Sample {
    /// What to draw
    #[arg(value_name = "PROMPT")]
    texts: Vec<String>,
    /// A LoRA file for all prompts and its strength, 1 when left out, or TE:UNET; several add up
    #[arg(long = "lora", value_name = "FILE[:STRENGTH]")]
    loras: Vec<LoraArgument>,
    /// Where <lora:NAME:STRENGTH> in a prompt finds its file: by name, or by its ss_output_name
    #[arg(long, value_name = "FOLDER")]
    lora_dir: Option<PathBuf>,
    /// Pictures of each prompt, with seeds that follow one another
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    count: u64,
    /// The folder for the pictures, or a .png file for a single one
    #[arg(short, long, value_name = "PATH", default_value = "samples")]
    out: PathBuf,
    /// Leave the files' hashes out of the pictures: spares reading a large model once more
    #[arg(long)]
    no_hash: bool,
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
        let count = prompts.len() * self.count as usize;
        let mut loras = self.loras(&prompts)?;
        let names = self.names(count)?;
        let (mut model, device) = self.model.load(printer)?;
        for prompt in &prompts {
            // A file that does not fit is found now, not after minutes of drawing.
            loras.attach(&mut model, prompt, &device)?;
        }
        let mut easel = Easel {
            settings: self.drawing.settings(&model, self.model.clip_skip),
            model,
            device,
            loras,
            provenance: None,
        };
        let mut paths = names.iter();
        let bar = printer.bar(count as u64, "pictures");
        for prompt in &prompts {
            easel.draw(prompt, &self, |png| {
                // There are as many names as pictures.
                let Some(path) = paths.next() else {
                    return Ok(());
                };
                write_atomically(path, |file| file.write_all(png))?;
                bar.inc(1);
                if !self.json {
                    printer.result(&path.display().to_string());
                }
                Ok(())
            })?;
        }
        bar.finish_and_clear();
        if self.json {
            printer.document(&Document { files: names });
        }
        Ok(End::Done)
    }

    /// The LoRAs of the command line and of the prompts, found and read.
    fn loras(&self, prompts: &[Prompt]) -> anyhow::Result<PromptLoras> {
        let always = self.loras.iter().cloned();
        let always = always.map(|argument| (argument.path, argument.strength));
        let folder = self.lora_dir.as_ref().map(LoraFolder::open).transpose()?;
        let mut loras = PromptLoras::new(always.collect(), folder);
        loras.read(prompts)?;
        Ok(loras)
    }

    /// The model and the VAE, which are read whole for their hashes.
    fn provenance(&self) -> Provenance {
        let vae = self.model.vae.as_deref();
        Provenance {
            model: Some(SourceFile::model(&self.model.model, !self.no_hash)),
            vae: vae.map(|path| SourceFile::vae(path, !self.no_hash)),
            loras: Vec::new(),
        }
    }

    /// Where the pictures go: the file that was named, or the next free numbers of the folder.
    fn names(&self, count: usize) -> anyhow::Result<Vec<PathBuf>> {
        if count == 1
            && self
                .out
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("png"))
        {
            prepare(&self.out, true)?;
            return Ok(vec![self.out.clone()]);
        }
        let last = last_number(&self.out).with_context(|| self.out.display().to_string())?;
        Ok((1..=count)
            .map(|index| self.out.join(format!("{:05}.png", last + index)))
            .collect())
    }
}

/// What pictures are drawn with.
struct Easel {
    model: BaseModel,
    device: Device,
    settings: DrawSettings,
    loras: PromptLoras,
    /// Set with the first picture.
    provenance: Option<Provenance>,
}

impl Easel {
    /// Draws all pictures of a prompt and hands each over as a PNG as soon as it is there.
    fn draw(
        &mut self,
        prompt: &Prompt,
        sample: &Sample,
        mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.loras.attach(&mut self.model, prompt, &self.device)?;
        let series: Vec<_> = prompt.series(sample.count).collect();
        for batch in batches(&self.model, &series, self.settings)? {
            let pictures = draw(&self.model, batch, self.settings, &self.device)?;
            let provenance = self.provenance.get_or_insert_with(|| sample.provenance());
            provenance.loras = self.loras.used(prompt, !sample.no_hash)?;
            for (prompt, picture) in batch.iter().zip(pictures) {
                let text = infotext(prompt, self.settings, picture.dimensions(), provenance);
                take(&png::encode(&picture, Some(&text))?)?;
            }
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
