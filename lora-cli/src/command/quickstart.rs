use std::{env, num::NonZeroU64, path::PathBuf, time::Instant};

use anyhow::Context;
use clap::Args;
use lora_core::BaseModel;
use lora_train::{
    DeviceChoice, DrawSettings, Handle, RunReport,
    config::{TrainConfig, Warmup},
    grid::{CellFolder, Fingerprints, GridRequest, ModelDrawer, SavedFiles, cells_of},
    picture::Grid,
};

use crate::{
    cli::{COMMIT, End},
    grid_progress::PictureProgress,
    printer::Printer,
    starter,
    training::{self, Finished},
};

const EXAMPLES: &str = "\
Examples:
  lora quickstart
  lora quickstart --out try --seed 7
  lora quickstart --steps 60                a shorter look
  lora quickstart --json | jq .heldout_loss_after

Everything it uses comes along in the program; nothing is downloaded.";

/// Train on pictures that come along, and see what a LoRA learns
///
/// Unpacks a small model that draws 64 × 64 emoji and 24 pictures in a style that it does not know, trains a LoRA on
/// them, and draws every saved file at several strengths. Takes about two minutes on two CPU cores.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Quickstart {
    /// The folder for everything
    #[arg(short, long, value_name = "FOLDER", default_value = "quickstart")]
    out: PathBuf,
    /// Where to compute.
    // Not a doc comment: rustdoc takes the brackets for links.
    #[arg(long, default_value_t = DeviceChoice::Auto, help = "Where to compute: auto, cpu, wgpu[:n], vulkan[:n] or cuda[:n]")]
    device: DeviceChoice,
    /// Seed of everything random
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// Train fewer or more steps; a short run saves fewer files
    #[arg(long, value_name = "N")]
    steps: Option<NonZeroU64>,
    /// Print report.json at the end
    #[arg(long)]
    json: bool,
}

impl Quickstart {
    pub(crate) fn run(self, printer: &Printer) -> anyhow::Result<End> {
        let began = Instant::now();
        starter::unpack(&self.out)?;
        printer.note(&format!(
            "unpacked a small model and pictures to {}",
            self.out.join("mini").display()
        ));
        let Finished {
            config,
            outcome,
            record,
            handle,
        } = training::train(self.config()?, None, printer, false)?;
        let grid = if outcome.stopped {
            None
        } else {
            Some(compare(&config, &outcome.files, &handle, printer)?)
        };
        let report = RunReport {
            config: &config,
            outcome: &outcome,
            record: &record,
            grid: grid.as_ref(),
            commit: COMMIT,
        };
        let summary = report.write()?;
        if self.json {
            printer.document(&summary);
        } else {
            printer.result(&training::result(&config.output.folder, &outcome, &summary));
            if !outcome.stopped {
                printer.result(&self.what_next(began.elapsed().as_secs()));
            }
        }
        Ok(if outcome.stopped || handle.is_stopping() {
            End::Stopped
        } else {
            End::Done
        })
    }

    fn config(&self) -> anyhow::Result<TrainConfig> {
        let mut config = TrainConfig::read(self.out.join(starter::RUN_FILE), &[])?;
        config.output.folder.clone_from(&self.out);
        config.output.overwrite = true;
        config.train.device = self.device;
        if let Some(seed) = self.seed {
            config.train.seed = seed;
        }
        if let Some(steps) = self.steps {
            rescale(&mut config, steps.get());
        }
        Ok(config)
    }

    fn what_next(&self, seconds: u64) -> String {
        let program = env::args().next().unwrap_or_else(|| "lora".to_owned());
        let inside = |name: &str| self.out.join(name).display().to_string();
        format!(
            "all in {seconds} s; look at {grid} or, better, open {page}\n\n\
             next, for example:\n  \
             {program} sample -m {model} --lora {file} -l 3 \"blprnt style, octopus, sea animal\"\n  \
             {program} train {run} --set output.folder=second --set lora.rank=4 --set lora.alpha=4",
            grid = inside("grid.png"),
            page = inside("index.html"),
            model = inside("mini/base"),
            file = inside("blueprint.safetensors"),
            run = inside(starter::RUN_FILE),
        )
    }
}

/// Fits epochs and previews to another number of steps: six of each in a run of full length, fewer in a short one.
fn rescale(config: &mut TrainConfig, steps: u64) {
    // 24 pictures in batches of 4: so many steps for each repeat.
    const STEPS_PER_REPEAT: u64 = 6;
    let files = (steps / 20).clamp(2, 6);
    let repeats = steps.div_ceil(files * STEPS_PER_REPEAT);
    for folder in &mut config.dataset.folders {
        folder.repeats = Some(repeats as u32);
    }
    config.train.max_steps = Some(steps);
    config.train.epochs = steps.div_ceil(repeats * STEPS_PER_REPEAT);
    config.preview.every = (steps / files).max(1);
    if let Warmup::Steps(warmup) = &mut config.schedule.warmup {
        *warmup = (*warmup).min(steps / 5);
    }
}

/// Draws all saved files at several strengths; a stop leaves the rest blank.
fn compare(
    config: &TrainConfig,
    files: &[PathBuf],
    handle: &Handle,
    printer: &Printer,
) -> anyhow::Result<Grid> {
    let source = config.model.source();
    let device = config.train.device.resolve()?;
    let SavedFiles { files } = SavedFiles::find(files)?;
    let cells = GridRequest::of_run(config, files)?.cells()?;
    let fingerprints = Fingerprints::read(&cells, &source, true)?;
    let mut model = BaseModel::load(&source, &device)?;
    let settings = DrawSettings::of_run(config);
    let plan = cells.plan(&fingerprints, settings, |prompt| {
        settings.size_of(prompt, &model)
    });
    let folder = CellFolder::create(cells_of(&config.output.folder.join("grid")))?;
    folder.clear(Some(&plan))?;
    folder.write_plan(&plan, &fingerprints)?;
    let mut shown = PictureProgress::new(printer, handle);
    let mut drawer = ModelDrawer::new(&mut model, &device);
    plan.draw(&folder, &mut drawer, |progress| shown.told(progress))?;
    plan.grids(&folder).pop().context("a grid has a sheet")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_number_of_steps_gives_a_few_files() {
        for steps in [1, 6, 36, 40, 300, 1000] {
            let mut config = TrainConfig::default();
            rescale(&mut config, steps);
            assert!(
                (1..=6).contains(&config.train.epochs),
                "{steps} steps: {} epochs",
                config.train.epochs
            );
        }
        let mut config = TrainConfig::default();
        rescale(&mut config, 300);
        assert_eq!((config.train.epochs, config.preview.every), (6, 50));
    }
}
