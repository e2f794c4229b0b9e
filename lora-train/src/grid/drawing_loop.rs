use std::{collections::BTreeMap, path::Path};

use thiserror::Error;

use super::{CellFolder, CellFolderError, DrawError, Drawer, Drawing, GridPlan, LoraUse};
use crate::Flow;

/// At most so many pictures are drawn at once, and no more pixels than one of 512 × 512: what a stop loses stays small.
const BATCH: usize = 8;
const BATCH_PIXELS: usize = 512 * 512;

/// How far a grid has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GridProgress {
    /// Pictures drawn now.
    pub drawn: usize,
    /// Pictures that had to be drawn when it began.
    pub to_draw: usize,
    /// Pictures that were there from before.
    pub kept: usize,
}

impl GridProgress {
    /// Whether every picture is there.
    pub fn is_complete(&self) -> bool {
        self.drawn == self.to_draw
    }
}

/// Why a grid was not drawn to its end. What was drawn is kept.
#[derive(Debug, Error)]
pub enum GridError {
    /// A picture cannot be drawn.
    #[error(transparent)]
    Draw(#[from] DrawError),
    /// A picture cannot be kept.
    #[error(transparent)]
    Folder(#[from] CellFolderError),
}

impl GridPlan {
    /// Draws the pictures that are not in `folder` yet, LoRA by LoRA, and keeps each as soon as it is there; `told` hears
    /// how far it has come, at the beginning too, and may end it.
    ///
    /// # Errors
    /// [`GridError`]. All LoRA files are tried on the model before the first picture is drawn.
    pub fn draw(
        &self,
        folder: &CellFolder,
        drawer: &mut impl Drawer,
        mut told: impl FnMut(GridProgress) -> Flow,
    ) -> Result<GridProgress, GridError> {
        let missing = self.missing(folder);
        let mut progress = GridProgress {
            drawn: 0,
            to_draw: missing.len(),
            kept: self.drawings.len() - missing.len(),
        };
        if missing.is_empty() {
            return Ok(progress);
        }
        drawer.check(&files(&missing))?;
        if told(progress).is_break() {
            return Ok(progress);
        }
        for batch in batches(&missing) {
            let prompts: Vec<_> = batch.iter().map(|drawing| drawing.prompt.clone()).collect();
            let pictures = drawer.draw(&batch[0].loras, &prompts, batch[0].settings)?;
            for (drawing, picture) in batch.iter().zip(&pictures) {
                folder.put(drawing, picture)?;
            }
            progress.drawn += batch.len();
            if told(progress).is_break() {
                break;
            }
        }
        Ok(progress)
    }

    /// The pictures that are not there, in an order that changes LoRA files and strengths as seldom as can be.
    fn missing(&self, folder: &CellFolder) -> Vec<&Drawing> {
        let mut missing: Vec<&Drawing> = self
            .drawings
            .iter()
            .filter(|drawing| !folder.has(drawing))
            .collect();
        let files = first_places(&missing, |drawing| paths(&drawing.loras));
        let uses = first_places(&missing, |drawing| strengths(&drawing.loras));
        missing.sort_by_cached_key(|drawing| {
            let place = files[&paths(&drawing.loras)];
            // The model alone goes first: it is what all others are compared with.
            (
                !drawing.loras.is_empty(),
                place,
                uses[&strengths(&drawing.loras)],
            )
        });
        missing
    }
}

/// The place where each key comes up first.
fn first_places<K: Ord>(drawings: &[&Drawing], key: impl Fn(&Drawing) -> K) -> BTreeMap<K, usize> {
    let mut places = BTreeMap::new();
    for (index, drawing) in drawings.iter().enumerate() {
        places.entry(key(drawing)).or_insert(index);
    }
    places
}

fn paths(loras: &[LoraUse]) -> Vec<std::path::PathBuf> {
    loras.iter().map(|lora| lora.path.clone()).collect()
}

fn strengths(loras: &[LoraUse]) -> Vec<[u32; 2]> {
    loras
        .iter()
        .map(|lora| [lora.text.to_bits(), lora.unet.to_bits()])
        .collect()
}

/// The LoRA files of these pictures, each once.
fn files<'a>(drawings: &[&'a Drawing]) -> Vec<&'a Path> {
    let mut files: Vec<&Path> = Vec::new();
    for lora in drawings.iter().flat_map(|drawing| &drawing.loras) {
        if !files.contains(&lora.path.as_path()) {
            files.push(&lora.path);
        }
    }
    files
}

/// Neighbours that can be drawn at once.
fn batches<'a>(drawings: &'a [&'a Drawing]) -> impl Iterator<Item = &'a [&'a Drawing]> {
    let alike = |left: &&Drawing, right: &&Drawing| {
        left.loras == right.loras
            && left.settings == right.settings
            && left.size == right.size
            && left.prompt.steps == right.prompt.steps
            && (left.prompt.guidance - right.prompt.guidance).abs() < f64::EPSILON
    };
    drawings.chunk_by(alike).flat_map(|group| {
        let [width, height] = group[0].size.map(|side| side as usize);
        let most = (BATCH_PIXELS / (width * height).max(1)).clamp(1, BATCH);
        group.chunks(most)
    })
}
