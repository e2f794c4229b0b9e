use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use lora_core::BaseModel;
use lora_train::{
    Device, Handle,
    grid::{
        Axis, AxisError, CellFolder, Fingerprints, GridCells, GridFiles, GridPlan, GridProgress,
        GridRequest, ModelDrawer, STRENGTHS, SavedFiles, cells_of,
    },
    picture::Grid as Table,
};
use serde::Serialize;

use crate::{
    cli::End, draw_arguments::DrawArguments, grid_progress::PictureProgress, interrupt,
    model_arguments::ModelArguments, printer::Printer,
};

const EXAMPLES: &str = "\
Examples:
  lora grid -m model.safetensors output/ -p \"a photo of sks dog\"
  lora grid -m model.safetensors dog.safetensors --x seed=1-6 --y cfg=3,5,7 -p \"sks dog\"
  lora grid -m model.safetensors output/ --x files --y \"sr=fox,cat,dog\" -p \"a photo of a fox\"
  lora grid -m model.safetensors output/ --x sr=NUM,000001,000002 --y sr=STRENGTH,0.5,1
      -p \"sks dog <lora:dog-NUM:STRENGTH>\"

Axes:
  files     the LoRA files; those of a folder in the order of their training
  strength  their strength, as strength=0,0.5,1; 0 is the model without LoRA
  prompt    the prompts
  sr=…      replaces the first item in the prompts by each, as A1111's Prompt S/R does;
            NUM and STRENGTH are only searched for
  seed=…    steps=…    cfg=…    sampler=…    none
Values are written as in A1111: 1,2,3 or 1-5 or 1-10 (+2) or 0-1 [5]; quotes keep commas together.
Without --x and --y, files are the columns and strengths the rows.

`-o style` writes style.png and style.html, which stands alone and enlarges what is clicked, and
keeps the pictures in style.cells. What is there and has not changed is not drawn again, so that a
grid that was stopped goes on where it was.";

/// Compare pictures side by side: LoRA files, strengths, prompts, seeds and more
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Grid {
    /// LoRA files, or folders of them
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// What to draw; several stand side by side in each cell unless they are an axis
    #[arg(short, long = "prompt", value_name = "PROMPT")]
    prompt: Vec<String>,
    /// What changes from column to column [default: files]
    #[arg(long, value_name = "AXIS")]
    x: Option<Axis>,
    /// What changes from row to row [default: strength]
    #[arg(long, value_name = "AXIS")]
    y: Option<Axis>,
    /// What changes from sheet to sheet
    #[arg(
        long,
        value_name = "AXIS",
        default_value = "none",
        hide_default_value = true
    )]
    z: Axis,
    /// The strengths of a strength axis without values, or the one strength where there is none
    #[arg(long, value_name = "LIST", value_parser = strengths, allow_hyphen_values = true)]
    strengths: Option<Axis>,
    /// Where to write to, without extension
    #[arg(short, long, value_name = "PATH", default_value = "grid")]
    out: PathBuf,
    /// Draw everything anew
    #[arg(long)]
    fresh: bool,
    /// Leave the files' hashes out of the pictures: spares reading a large model once more
    #[arg(long)]
    no_hash: bool,
    /// Print what came out as one JSON document
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    model: ModelArguments,
    #[command(flatten)]
    drawing: DrawArguments,
}

/// What came out.
#[derive(Serialize)]
struct Document {
    /// The first sheet.
    png: PathBuf,
    html: PathBuf,
    /// The folder of the single pictures.
    cells: PathBuf,
    sheets: Vec<Sheet>,
    /// Pictures drawn now.
    drawn: usize,
    /// Pictures that were there from before.
    kept: usize,
    stopped: bool,
}

#[derive(Serialize)]
struct Sheet {
    png: PathBuf,
    width: u32,
    height: u32,
    /// By how much its pictures are scaled down.
    scale: f64,
    columns: Vec<String>,
    rows: Vec<String>,
}

impl Grid {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let cells = self.request(printer)?.cells()?;
        let fingerprints = Fingerprints::read(&cells, &self.model.source(), !self.no_hash)?;
        let out = bare(&self.out);
        if let Some(parent) = out.parent() {
            fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
        }
        let (mut model, device) = self.model.load(printer)?;
        let plan = self.plan(&cells, &fingerprints, &model);
        let folder = CellFolder::create(cells_of(&out))?;
        if self.fresh {
            folder.clear(None)?;
        }
        folder.write_plan(&plan, &fingerprints)?;
        let progress = draw(&plan, &folder, &mut model, &device, printer)?;
        let grids = plan.grids(&folder);
        let files = GridFiles::write(&grids, &out)?;
        tell_scales(&files, printer);
        self.tell(printer, &document(&folder, &grids, files, progress));
        if progress.is_complete() {
            return Ok(End::Done);
        }
        printer.note(&format!(
            "stopped after {} of {} pictures; the same command goes on",
            progress.drawn, progress.to_draw
        ));
        Ok(End::Stopped)
    }

    /// What is asked for. Where one of the two axes is named, the other is none.
    fn request(&self, printer: &Printer) -> anyhow::Result<GridRequest> {
        let prompts = self.drawing.templates(&self.prompt)?;
        let (x, y) = match (self.x.clone(), self.y.clone()) {
            (None, None) => (Axis::Files, Axis::Strength(Vec::new())),
            (x, y) => (x.unwrap_or(Axis::Nothing), y.unwrap_or(Axis::Nothing)),
        };
        let z = self.z.clone();
        let mut files = SavedFiles::find(&self.files)?;
        if [&x, &y, &z].contains(&&Axis::Files) {
            for [file, twin] in files.take_twins() {
                let (file, twin) = (file.display(), twin.display());
                printer.note(&format!("{file} has the weights of {twin}: left out"));
            }
        }
        let has_axis = [&x, &y, &z]
            .iter()
            .any(|axis| matches!(axis, Axis::Strength(_)));
        let strengths = match &self.strengths {
            Some(Axis::Strength(strengths)) => strengths.clone(),
            _ if has_axis => STRENGTHS.to_vec(),
            _ => vec![1.0],
        };
        Ok(GridRequest {
            x,
            y,
            z,
            files: files.files,
            strengths,
            prompts,
        })
    }

    fn plan(&self, cells: &GridCells, fingerprints: &Fingerprints, model: &BaseModel) -> GridPlan {
        let settings = self.drawing.settings(model, self.model.clip_skip);
        cells.plan(fingerprints, settings, |prompt| {
            settings.size_of(prompt, model)
        })
    }

    fn tell(&self, printer: &Printer, document: &Document) {
        if self.json {
            return printer.document(document);
        }
        let paths = document.sheets.iter().map(|sheet| &sheet.png);
        for path in paths.chain([&document.html]) {
            printer.result(&path.display().to_string());
        }
    }
}

/// Draws what is missing until Ctrl-C; clears away what belongs to the grid no more once all is there.
fn draw(
    plan: &GridPlan,
    folder: &CellFolder,
    model: &mut BaseModel,
    device: &Device,
    printer: &Printer,
) -> anyhow::Result<GridProgress> {
    let handle = Handle::default();
    interrupt::stop_on_ctrl_c(handle.clone(), printer.clone())?;
    let mut shown = PictureProgress::new(printer, &handle);
    let mut drawer = ModelDrawer::new(model, device);
    let progress = plan.draw(folder, &mut drawer, |progress| shown.told(progress))?;
    if progress.is_complete() {
        folder.clear(Some(plan))?;
    }
    Ok(progress)
}

fn document(
    folder: &CellFolder,
    grids: &[Table],
    files: GridFiles,
    progress: GridProgress,
) -> Document {
    let sheets = grids.iter().zip(files.sheets);
    let sheets: Vec<Sheet> = sheets
        .map(|(grid, (png, facts))| Sheet {
            png,
            width: facts.width,
            height: facts.height,
            scale: facts.scale,
            columns: grid.columns.clone(),
            rows: grid.rows.clone(),
        })
        .collect();
    Document {
        png: sheets
            .first()
            .map(|sheet| sheet.png.clone())
            .unwrap_or_default(),
        html: files.page,
        cells: folder.path().to_path_buf(),
        sheets,
        drawn: progress.drawn,
        kept: progress.kept,
        stopped: !progress.is_complete(),
    }
}

/// Says where pictures had to be scaled down.
fn tell_scales(files: &GridFiles, printer: &Printer) {
    let percent = |scale: f64| (scale * 100.0).round();
    for (path, facts) in files.sheets.iter().filter(|(_, facts)| facts.scale < 1.0) {
        printer.note(&format!(
            "{}: pictures scaled down to {} % to keep it at {} × {} pixels",
            path.display(),
            percent(facts.scale),
            facts.width,
            facts.height
        ));
    }
    if files.page_scale < 1.0 {
        printer.note(&format!(
            "{}: pictures are enlarged to {} % of their size",
            files.page.display(),
            percent(files.page_scale)
        ));
    }
}

/// A list of strengths, in the notation of axes.
fn strengths(list: &str) -> Result<Axis, AxisError> {
    format!("strength={list}").parse()
}

/// `style`, `style.png` and `style.html` mean the same; `style-0.5` keeps its number.
fn bare(path: &Path) -> PathBuf {
    let known = ["png", "html"].iter().any(|known| {
        path.extension()
            .is_some_and(|extension| extension == *known)
    });
    if known {
        path.with_extension("")
    } else {
        path.to_path_buf()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_is_taken_off() {
        for (given, expected) in [
            ("a/style", "a/style"),
            ("style.html", "style"),
            ("style.png", "style"),
            ("v0.5", "v0.5"),
        ] {
            assert_eq!(bare(Path::new(given)), PathBuf::from(expected));
        }
    }
}
