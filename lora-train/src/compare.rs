//! LoRA files side by side: every file at every strength, with the same prompts and the same noise.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use image::RgbImage;
use lora_core::{
    BaseModel,
    adapter::SpecError,
    lora_file::{LoraFile, LoraFileError},
};
use thiserror::Error;

use crate::{DrawSettings, Flow, Prompt, PromptError, config::TrainConfig, draw, picture::Grid};

/// What is compared with what.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The LoRA files: the columns.
    pub files: Vec<PathBuf>,
    /// Their strengths: the rows. At 0 no file has any effect, so that row is drawn once and shared.
    pub strengths: Vec<f32>,
    /// The pictures of each cell.
    pub prompts: Vec<Prompt>,
    /// How they are drawn.
    pub settings: DrawSettings,
}

/// Why files cannot be compared.
#[derive(Debug, Error)]
pub enum CompareError {
    /// A file cannot be read.
    #[error(transparent)]
    File(#[from] LoraFileError),
    /// A file does not fit the model.
    #[error("{}: {source}", .path.display())]
    Misfit {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        source: SpecError,
    },
}

/// The strengths that a comparison shows where nobody asks for others.
pub const STRENGTHS: [f32; 5] = [0.0, 0.25, 0.5, 0.75, 1.0];

impl Comparison {
    /// The files of a run at [`STRENGTHS`], drawn as its previews were.
    ///
    /// # Errors
    /// [`PromptError`] for a preview prompt that cannot be read.
    pub fn of_run(config: &TrainConfig, files: Vec<PathBuf>) -> Result<Self, PromptError> {
        let prompts = config.preview.prompts.iter();
        Ok(Self {
            files,
            strengths: STRENGTHS.to_vec(),
            prompts: prompts
                .map(|line| Prompt::parse(line, &config.preview))
                .collect::<Result<_, _>>()?,
            settings: DrawSettings::of_run(config),
        })
    }

    /// How many cells are drawn; each holds all prompts.
    pub fn drawings(&self) -> usize {
        let strong = self
            .strengths
            .iter()
            .filter(|&&strength| !is_off(strength))
            .count();
        self.files.len() * strong + usize::from(strong < self.strengths.len())
    }

    /// Draws the cells, file by file; `told` hears the number done after each and may end it, which leaves cells blank.
    ///
    /// Takes the adapters out of `model` that were in it.
    ///
    /// # Errors
    /// [`CompareError`]; all files are read, and tried on the model, before the first is drawn.
    pub fn draw(
        &self,
        model: &mut BaseModel,
        device: &Device,
        mut told: impl FnMut(usize) -> Flow,
    ) -> Result<Grid, CompareError> {
        let files = self
            .files
            .iter()
            .map(LoraFile::read)
            .collect::<Result<Vec<_>, _>>()?;
        // A file that does not fit is found now, not after minutes of drawing.
        for (path, file) in self.files.iter().zip(&files) {
            attach(model, path, file, 0.0, device)?;
        }
        let mut grid = self.blank(model);
        let mut done = 0;
        model.clear_adapters();
        if self.strengths.iter().any(|&strength| is_off(strength)) {
            let pictures = draw(model, &self.prompts, self.settings, device);
            self.fill_base(&mut grid, &pictures);
            done += 1;
            if told(done).is_break() {
                return Ok(grid);
            }
        }
        'files: for (column, file) in files.iter().enumerate() {
            for (row, &strength) in self.strengths.iter().enumerate() {
                if is_off(strength) {
                    continue;
                }
                attach(model, &self.files[column], file, strength, device)?;
                grid.cells[row][column] = draw(model, &self.prompts, self.settings, device);
                done += 1;
                if told(done).is_break() {
                    break 'files;
                }
            }
        }
        model.clear_adapters();
        Ok(grid)
    }

    /// The labelled grid without pictures.
    fn blank(&self, model: &BaseModel) -> Grid {
        let texts: Vec<&str> = self
            .prompts
            .iter()
            .map(|prompt| prompt.text.as_str())
            .collect();
        Grid {
            title: texts.join(" | "),
            subtitle: self
                .prompts
                .first()
                .map_or_else(String::new, |first| self.subtitle(first, model)),
            columns: self.files.iter().map(|path| stem(path)).collect(),
            rows: self.strengths.iter().map(f32::to_string).collect(),
            cells: vec![vec![Vec::new(); self.files.len()]; self.strengths.len()],
        }
    }

    fn subtitle(&self, prompt: &Prompt, model: &BaseModel) -> String {
        let [width, height] = self.settings.size_of(prompt, model);
        format!(
            "seed {}, {} steps, {}, guidance {}, {width}×{height}",
            prompt.seed,
            prompt.steps,
            self.settings.sampler.label(),
            prompt.guidance
        )
    }

    fn fill_base(&self, grid: &mut Grid, pictures: &[RgbImage]) {
        for (row, _) in self
            .strengths
            .iter()
            .enumerate()
            .filter(|&(_, &strength)| is_off(strength))
        {
            grid.cells[row].fill(pictures.to_vec());
        }
    }
}

fn attach(
    model: &mut BaseModel,
    path: &Path,
    file: &LoraFile,
    strength: f32,
    device: &Device,
) -> Result<(), CompareError> {
    let attached = model.attach(file, strength, device);
    attached.map(|_| ()).map_err(|source| CompareError::Misfit {
        path: path.to_path_buf(),
        source,
    })
}

fn is_off(strength: f32) -> bool {
    strength.abs() < f32::EPSILON
}

fn stem(path: &Path) -> String {
    path.file_stem()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use lora_core::{
        ModelConfigs, Precision, adapter::LoraSpec, diffusion::SamplerKind, lora_file::FileDtype,
        weights::Checkpoint,
    };

    use super::*;
    use crate::config::PreviewConfig;

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/golden/tiny-sd15");

    fn model(device: &Device) -> BaseModel {
        let checkpoint = Checkpoint::open(TINY, None).expect("a folder");
        let configs = ModelConfigs::read(&checkpoint).expect("configs");
        BaseModel::seeded(&configs, Precision::F32, 1, device)
    }

    fn comparison(files: Vec<PathBuf>) -> Comparison {
        let defaults = PreviewConfig {
            steps: 1,
            guidance: 1.0,
            ..PreviewConfig::default()
        };
        Comparison {
            files,
            strengths: vec![0.0, 0.5, 1.0],
            prompts: vec![Prompt::parse("a cat", &defaults).expect("a prompt")],
            settings: DrawSettings {
                sampler: SamplerKind::Ddim,
                clip_skip: 1,
                chunks: 1,
                size: [16; 2],
            },
        }
    }

    /// A file whose adapters change the pictures.
    fn file(folder: &Path, name: &str, seed: u64, device: &Device) -> PathBuf {
        let mut model = model(device);
        model
            .inject(&LoraSpec::default(), seed, device)
            .expect("adapters");
        let moved = model
            .factors()
            .into_iter()
            .map(|(key, matrix)| (key, matrix + 0.2))
            .collect();
        model.set_factors(&moved);
        let path = folder.join(name);
        model
            .to_lora_file()
            .write(&path, FileDtype::F32)
            .expect("written");
        path
    }

    #[test]
    fn every_cell_is_drawn_and_the_base_shared() {
        let device = Device::flex();
        let folder = tempfile::tempdir().expect("a folder");
        let files = vec![
            file(folder.path(), "style-000001.safetensors", 1, &device),
            file(folder.path(), "style-000002.safetensors", 2, &device),
        ];
        let comparison = comparison(files);
        let mut told = Vec::new();
        let grid = comparison
            .draw(&mut model(&device), &device, |done| {
                told.push(done);
                Flow::Continue(())
            })
            .expect("drawn");
        assert_eq!(comparison.drawings(), 5);
        assert_eq!(told, [1, 2, 3, 4, 5]);
        assert_eq!(grid.columns, ["style-000001", "style-000002"]);
        assert_eq!(grid.rows, ["0", "0.5", "1"]);
        assert_eq!(grid.cells[0][0], grid.cells[0][1]);
        let others: Vec<_> = grid.cells[1..]
            .iter()
            .flatten()
            .chain([&grid.cells[0][0]])
            .collect();
        for (index, cell) in others.iter().enumerate() {
            assert_eq!(cell.len(), 1);
            assert!(!others[..index].contains(cell), "two cells look the same");
        }
    }

    #[test]
    fn a_stop_leaves_the_rest_blank() {
        let device = Device::flex();
        let folder = tempfile::tempdir().expect("a folder");
        let files = vec![file(folder.path(), "style.safetensors", 1, &device)];
        let told = |done| {
            if done < 2 {
                Flow::Continue(())
            } else {
                Flow::Break(())
            }
        };
        let grid = comparison(files)
            .draw(&mut model(&device), &device, told)
            .expect("drawn");
        let drawn: Vec<usize> = grid.cells.iter().map(|row| row[0].len()).collect();
        assert_eq!(drawn, [1, 1, 0]);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let device = Device::flex();
        let error = comparison(vec!["nowhere.safetensors".into()])
            .draw(&mut model(&device), &device, |_| Flow::Continue(()))
            .expect_err("no file");
        assert!(error.to_string().contains("nowhere.safetensors"), "{error}");
    }
}
