use std::path::PathBuf;

use lora_core::{adapter::Strength, prompt_syntax::LoraTag};

use super::{
    Axis, RequestError, SavedFile,
    level::{Level, Variation},
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
    /// How strongly it acts.
    pub strength: Strength,
}

/// One picture of a cell, before size and settings are known.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CellPicture {
    pub(super) prompt: Prompt,
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
                .any(|other| other.name() == axis.name())
            {
                return Err(RequestError::Twice { axis: axis.name() });
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
        } = variation;
        prompt.check()?;
        let (text, tags) = LoraTag::take_all(&prompt.text)?;
        // The space before a tag at the end went with it.
        text.trim_end().clone_into(&mut prompt.text);
        let named = !tags.is_empty();
        let mut loras = Vec::new();
        let single = (!named && self.files.len() == 1).then_some(0);
        if let Some(index) = file.or(single) {
            loras.push(self.lora(index, strength.into()));
        } else if self.shows_strengths() {
            let what = if named {
                "<lora:NAME:STRENGTH> in a prompt; vary its number with `sr`"
            } else {
                "the model alone; give LoRA files"
            };
            return Err(RequestError::StrengthOfNothing { what });
        }
        for tag in tags {
            let strength = Strength {
                text: tag.text_strength,
                unet: tag.unet_strength,
            };
            loras.push(self.lora(self.find(&tag.name)?, strength));
        }
        loras.retain(|lora| !lora.strength.is_off());
        Ok(CellPicture { prompt, loras })
    }

    fn lora(&self, index: usize, strength: Strength) -> LoraUse {
        let file = &self.files[index];
        LoraUse {
            path: file.path.clone(),
            name: file.name.clone(),
            strength,
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
        axis: axis.name(),
        hint: match axis {
            Axis::Files => "give LoRA files, or a folder of them",
            Axis::Replace(_) => "give what replaces the first item",
            _ => "give values",
        },
    }
}

#[cfg(test)]
mod tests {
    use lora_core::diffusion::SamplerKind;

    use super::*;
    use crate::grid::example::{file, plain, prompt, request};

    fn axis(text: &str) -> Axis {
        text.parse().expect(text)
    }

    /// The text of the first picture of each cell.
    fn texts(request: &GridRequest) -> Vec<String> {
        let cells = request.cells().expect("a sound request").cells;
        cells
            .into_iter()
            .map(|cell| cell[0].prompt.text.clone())
            .collect()
    }

    fn refused(request: &GridRequest) -> String {
        request.cells().expect_err("unsound").to_string()
    }

    #[test]
    fn files_and_strengths_make_a_table_whose_zeros_have_no_lora() {
        let cells = request().cells().expect("a sound request");
        assert_eq!(cells.count(), 6);
        let loras = cells.cells.iter().map(|cell| {
            let lora = cell[0].loras.first();
            lora.map(|lora| (lora.name.as_str(), lora.strength.text, lora.strength.unet))
        });
        assert_eq!(
            loras.collect::<Vec<_>>(),
            [
                None,
                None,
                Some(("dog-000001", 0.5, 0.5)),
                Some(("dog-000002", 0.5, 0.5)),
                Some(("dog-000001", 1.0, 1.0)),
                Some(("dog-000002", 1.0, 1.0)),
            ]
        );
    }

    #[test]
    fn every_axis_sets_what_it_is_named_for() {
        let mut request = plain(axis("seed=7,8"), axis("cfg=3,5"));
        request.z = axis("steps=11,12");
        let cells = request.cells().expect("a sound request").cells;
        let set = cells.iter().map(|cell| {
            let prompt = &cell[0].prompt;
            (prompt.seed, prompt.guidance as u32, prompt.steps)
        });
        assert_eq!(
            set.collect::<Vec<_>>(),
            [
                (7, 3, 11),
                (8, 3, 11),
                (7, 5, 11),
                (8, 5, 11),
                (7, 3, 12),
                (8, 3, 12),
                (7, 5, 12),
                (8, 5, 12),
            ]
        );
        let samplers = plain(axis("sampler=euler-a"), Axis::Nothing);
        let cells = samplers.cells().expect("a sound request").cells;
        assert_eq!(
            cells[0][0].prompt.sampler.map(SamplerKind::name),
            Some("euler-a")
        );
    }

    #[test]
    fn prompts_stand_side_by_side_or_are_an_axis() {
        let mut request = plain(axis("seed=1,2"), Axis::Nothing);
        request.prompts.push(prompt("a cat"));
        let cells = request.cells().expect("a sound request").cells;
        assert_eq!(cells.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        // The axis of prompts comes after that of seeds, and does not undo it.
        request.y = Axis::Prompts;
        let cells = request.cells().expect("a sound request").cells;
        let shown = cells
            .iter()
            .map(|cell| (cell[0].prompt.text.as_str(), cell[0].prompt.seed));
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                ("a fox, sitting", 1),
                ("a fox, sitting", 2),
                ("a cat", 1),
                ("a cat", 2),
            ]
        );
    }

    #[test]
    fn search_and_replace_is_a1111s() {
        let request = plain(axis("sr=fox,cat,"), axis("sr=\"fox, sitting\",x"));
        // As there, the second search must find what the first has left.
        assert!(refused(&request).contains("`fox, sitting` is neither"));
        let request = plain(axis("sr=fox,cat"), axis("sr=\", sitting\",\", asleep\""));
        assert_eq!(
            texts(&request),
            [
                "a fox, sitting",
                "a cat, sitting",
                "a fox, asleep",
                "a cat, asleep"
            ]
        );
        let negative = plain(axis("sr=blurry,dark"), Axis::Nothing);
        let cells = negative
            .cells()
            .expect("found in the negative prompt")
            .cells;
        assert_eq!(cells[1][0].prompt.negative, "dark");
    }

    #[test]
    fn loras_are_named_in_prompts() {
        let mut request = request();
        request.x = axis("sr=000001,000002");
        request.y = axis("sr=0.8,0");
        request.prompts = vec![prompt("a fox <lora:dog-000001:0.8>")];
        let cells = request.cells().expect("a sound request").cells;
        let loras = |cell: &[CellPicture]| -> Vec<(String, f32)> {
            let loras = cell[0].loras.iter();
            loras
                .map(|lora| (lora.name.clone(), lora.strength.unet))
                .collect()
        };
        assert_eq!(loras(&cells[0]), [("dog-000001".to_owned(), 0.8)]);
        assert_eq!(loras(&cells[1]), [("dog-000002".to_owned(), 0.8)]);
        assert_eq!(loras(&cells[3]), []);
        assert_eq!(cells[1][0].prompt.text, "a fox");

        request.prompts = vec![prompt("a fox <lora:dog-NUM:STRENGTH>")];
        request.x = axis("sr=NUM,000001,000002");
        request.y = axis("sr=STRENGTH,0.5");
        let cells = request.cells().expect("a sound request").cells;
        assert_eq!(cells.len(), 2, "placeholders are not drawn themselves");
        assert_eq!(loras(&cells[1]), [("dog-000002".to_owned(), 0.5)]);

        request.y = axis("sr=STRENGTH,strong");
        assert!(refused(&request).contains("`strong` is no strength"));
        request.y = axis("sr=STRENGTH,0.5");
        request.x = axis("sr=NUM,000009");
        assert!(refused(&request).contains("dog-000001, dog-000002"));
    }

    #[test]
    fn a_single_file_acts_everywhere() {
        let mut request = plain(axis("seed=1,2"), Axis::Nothing);
        request.files = vec![file("dog", "dog")];
        request.strengths = vec![0.7];
        let cells = request.cells().expect("a sound request").cells;
        let strengths = cells.iter().map(|cell| cell[0].loras[0].strength.unet);
        assert_eq!(strengths.collect::<Vec<_>>(), [0.7, 0.7]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let seeds = || axis("seed=1,2");
        assert!(refused(&plain(seeds(), seeds())).contains("two axes are `seed`"));
        assert!(refused(&plain(Axis::Files, seeds())).contains("give LoRA files"));
        assert!(refused(&plain(axis("sr=fox,cat"), axis("sr=NUM"))).contains("is empty"));
        assert!(refused(&plain(axis("sr=NUM,1"), seeds())).contains("`NUM` is neither"));
        assert!(refused(&plain(axis("strength=0,1"), seeds())).contains("the model alone"));
        assert!(refused(&plain(axis("seed=1-1000"), axis("cfg=1-1000"))).contains("1000000"));
        let mut two_files = request();
        two_files.x = seeds();
        two_files.y = Axis::Nothing;
        assert!(refused(&two_files).contains("2 LoRA files, but no axis"));
        two_files.prompts[0].text = "<lora:dog-000001:1>".to_owned();
        assert!(two_files.cells().is_ok());
        two_files.y = Axis::Strength(vec![0.0, 1.0]);
        assert!(refused(&two_files).contains("vary its number with `sr`"));
        let mut strengths = plain(seeds(), Axis::Nothing);
        strengths.strengths = vec![0.0, 1.0];
        assert!(refused(&strengths).contains("give a single one"));
        let mut nothing = plain(seeds(), Axis::Nothing);
        nothing.prompts.clear();
        assert!(refused(&nothing).contains("no prompt"));
    }
}
