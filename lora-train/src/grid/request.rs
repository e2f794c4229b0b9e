use std::path::PathBuf;

use lora_core::{diffusion::SamplerKind, prompt_syntax::LoraTag};

use super::{
    Axis, RequestError, SavedFile,
    level::{Level, Variation, is_off},
    request_error::MOST_CELLS,
};
use crate::{Prompt, PromptError, config::TrainConfig};

/// The strengths that a grid shows where nobody asks for others.
pub const STRENGTHS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

/// What a grid is asked to show.
#[derive(Clone, Debug, PartialEq)]
pub struct GridRequest {
    /// The columns.
    pub x: Axis,
    /// The rows.
    pub y: Axis,
    /// The sheets.
    pub z: Axis,
    /// The LoRA files. Where no axis shows them, a single one acts in every cell, unless prompts name what they want as
    /// `<lora:NAME:STRENGTH>`.
    pub files: Vec<SavedFile>,
    /// The strengths of an [`Axis::Strength`] without values; where there is no such axis, the one strength of all cells.
    pub strengths: Vec<f32>,
    /// What is drawn. Where no axis shows them, several stand side by side in each cell.
    pub prompts: Vec<Prompt>,
}

/// One LoRA in use.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraUse {
    /// The file.
    pub path: PathBuf,
    /// Its name in prompts: the file's without extension.
    pub name: String,
    /// Strength in the text encoder.
    pub text: f32,
    /// Strength in the UNet.
    pub unet: f32,
}

/// One picture of a cell, before size and settings are known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CellPicture {
    pub(super) prompt: Prompt,
    pub(super) sampler: Option<SamplerKind>,
    /// Without those that are off.
    pub(super) loras: Vec<LoraUse>,
}

/// A checked request: every cell with what it draws.
#[derive(Clone, Debug)]
pub struct GridCells {
    pub(super) request: GridRequest,
    /// The levels of columns, rows and sheets.
    pub(super) levels: [Vec<Level>; 3],
    /// The pictures of each cell, row by row and sheet by sheet.
    pub(super) cells: Vec<Vec<CellPicture>>,
}

impl GridRequest {
    /// The files of a run at [`STRENGTHS`], drawn as its previews were.
    ///
    /// # Errors
    /// [`PromptError`] for a preview prompt that cannot be read.
    pub fn of_run(config: &TrainConfig, files: Vec<SavedFile>) -> Result<Self, PromptError> {
        let prompts = config.preview.prompts.iter();
        Ok(Self {
            x: Axis::Files,
            y: Axis::Strength(Vec::new()),
            z: Axis::Nothing,
            files,
            strengths: STRENGTHS.to_vec(),
            prompts: prompts
                .map(|line| Prompt::parse(line, &config.preview))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Checks the request and works out every cell.
    ///
    /// # Errors
    /// [`RequestError`].
    pub fn cells(&self) -> Result<GridCells, RequestError> {
        let axes = self.axes();
        self.check(axes)?;
        let levels = axes.map(|axis| axis.levels(self));
        for (axis, levels) in axes.iter().zip(&levels) {
            if levels.is_empty() {
                return Err(empty(axis));
            }
        }
        let count = levels
            .iter()
            .fold(1_usize, |count, levels| count.saturating_mul(levels.len()));
        if count > MOST_CELLS {
            return Err(RequestError::TooMany { cells: count });
        }
        let [columns, rows, sheets] = &levels;
        let mut cells = Vec::with_capacity(count);
        for sheet in sheets {
            for row in rows {
                for column in columns {
                    cells.push(self.cell([column, row, sheet])?);
                }
            }
        }
        let named = |cell: &Vec<CellPicture>| cell.iter().any(|picture| !picture.loras.is_empty());
        if self.files.len() > 1 && !self.shows_files() && !cells.iter().any(named) {
            return Err(RequestError::Unused {
                files: self.files.len(),
            });
        }
        Ok(GridCells {
            request: self.clone(),
            levels,
            cells,
        })
    }

    pub(super) fn axes(&self) -> [&Axis; 3] {
        [&self.x, &self.y, &self.z]
    }

    fn check(&self, axes: [&Axis; 3]) -> Result<(), RequestError> {
        if self.prompts.is_empty() {
            return Err(RequestError::NoPrompt);
        }
        let may_repeat = |axis: &Axis| matches!(axis, Axis::Nothing | Axis::Replace(_));
        for (index, axis) in axes
            .iter()
            .enumerate()
            .filter(|(_, axis)| !may_repeat(axis))
        {
            if axes[..index]
                .iter()
                .any(|other| other.title() == axis.title())
            {
                return Err(RequestError::Twice { axis: axis.title() });
            }
        }
        if !self.shows_strengths() && self.strengths.len() > 1 {
            return Err(RequestError::Strengths);
        }
        Ok(())
    }

    fn shows_files(&self) -> bool {
        self.axes().contains(&&Axis::Files)
    }

    fn shows_strengths(&self) -> bool {
        let is_strength = |axis: &&Axis| matches!(axis, Axis::Strength(_));
        self.axes().iter().any(is_strength)
    }

    /// The pictures of one cell: of the prompt that its levels choose, or of all.
    fn cell(&self, levels: [&Level; 3]) -> Result<Vec<CellPicture>, RequestError> {
        let choice = levels.iter().find_map(|level| match level {
            Level::Prompt(index) => Some(&self.prompts[*index..=*index]),
            _ => None,
        });
        let prompts = choice.unwrap_or(&self.prompts);
        prompts
            .iter()
            .map(|prompt| self.picture(prompt, levels))
            .collect()
    }

    fn picture(&self, prompt: &Prompt, levels: [&Level; 3]) -> Result<CellPicture, RequestError> {
        let mut variation = Variation {
            prompt: prompt.clone(),
            file: None,
            strength: self.strengths.first().copied().unwrap_or(1.0),
            sampler: None,
        };
        // The prompt is chosen already: choosing it again would undo what a level before it replaced.
        let others = |level: &&&Level| !matches!(level, Level::Prompt(_));
        for level in levels.iter().filter(others) {
            level.apply(self, &mut variation)?;
        }
        let Variation {
            mut prompt,
            file,
            strength,
            sampler,
        } = variation;
        let (text, tags) = LoraTag::take_all(&prompt.text)?;
        // The space before a tag at the end went with it.
        text.trim_end().clone_into(&mut prompt.text);
        let named = !tags.is_empty();
        let mut loras = Vec::new();
        let single = (!named && self.files.len() == 1).then_some(0);
        if let Some(index) = file.or(single) {
            loras.push(self.lora(index, [strength; 2]));
        } else if self.shows_strengths() {
            let what = if named {
                "<lora:NAME:STRENGTH> in a prompt; vary its number with `sr`"
            } else {
                "the model alone; give LoRA files"
            };
            return Err(RequestError::StrengthOfNothing { what });
        }
        for tag in tags {
            loras.push(self.lora(
                self.find(&tag.name)?,
                [tag.text_strength, tag.unet_strength],
            ));
        }
        loras.retain(|lora| !(is_off(lora.text) && is_off(lora.unet)));
        Ok(CellPicture {
            prompt,
            sampler,
            loras,
        })
    }

    fn lora(&self, index: usize, [text, unet]: [f32; 2]) -> LoraUse {
        let file = &self.files[index];
        LoraUse {
            path: file.path.clone(),
            name: file.name.clone(),
            text,
            unet,
        }
    }

    fn find(&self, name: &str) -> Result<usize, RequestError> {
        let found = self.files.iter().position(|file| file.name == name);
        found.ok_or_else(|| RequestError::UnknownLora {
            name: name.to_owned(),
            known: self.files.iter().map(|file| file.name.clone()).collect(),
        })
    }
}

impl GridCells {
    /// Cells in all.
    pub fn count(&self) -> usize {
        self.cells.len()
    }
}

fn empty(axis: &Axis) -> RequestError {
    RequestError::Empty {
        axis: axis.title(),
        hint: match axis {
            Axis::Files => "give LoRA files, or a folder of them",
            Axis::Replace(_) => "give what replaces the first item",
            _ => "give values",
        },
    }
}
