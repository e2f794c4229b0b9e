//! Does the file that a run ranks first also do best on pictures that the run never saw?
//!
//! For each seed a run trains on a few of the pictures in `assets/mini` until it overfits, with some of them held out;
//! each of its files is then measured on eight other pictures. What was found is in docs/benchmarks.md.
//!
//! ```sh
//! cargo run --release --example choosing -p lora-train -- FOLDER SEEDS PICTURES HELD_OUT SET TARGETS LR EPOCHS
//! cargo run --release --example choosing -p lora-train -- choosing 1-6 8 3 style attention 4e-3 12
//! ```

use std::{
    env, fs, io,
    io::Write,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use lora_core::{BaseModel, lora_file::LoraFile};
use lora_data::ImageFolders;
use lora_train::{
    Event, HeldoutLoss, RankedFile, RunRecord, RunReport, Trainer, config::TrainConfig,
};

type Anyhow<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Anyhow<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [folder, seeds, pictures, heldout, set, targets, lr, epochs] = &arguments[..] else {
        return Err("FOLDER SEEDS PICTURES HELD_OUT SET TARGETS LR EPOCHS".into());
    };
    let (first, last) = seeds.split_once('-').unwrap_or((seeds, seeds));
    let mut out = io::stdout();
    writeln!(
        out,
        "seed,picked_epoch,best_epoch,last_epoch,picked_loss,best_loss,last_loss,base_loss,rank_correlation,\
         by_loss_epoch,by_similarity_epoch"
    )?;
    for seed in first.parse::<u64>()?..=last.parse()? {
        let folder = Path::new(folder).join(format!("{set}-{seed}"));
        let config = config(
            &folder,
            seed,
            (pictures.parse()?, heldout.parse()?),
            (set, targets),
            (lr.parse()?, epochs.parse()?),
        )?;
        writeln!(out, "{}", row(&config, set, seed)?)?;
    }
    Ok(())
}

/// A run on `pictures` of a set, some of which are held out.
fn config(
    folder: &Path,
    seed: u64,
    (pictures, heldout): (usize, usize),
    (set, targets): (&str, &str),
    (lr, epochs): (f64, u64),
) -> Anyhow<TrainConfig> {
    let chosen = folder.join("pictures");
    fs::create_dir_all(&chosen)?;
    let mut files: Vec<PathBuf> = fs::read_dir(mini(set))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    // Other pictures with another seed: each caption file is beside its picture.
    let offset = 2 * (seed as usize * 5 % (files.len() / 2));
    files.rotate_left(offset);
    for file in files.iter().take(2 * pictures) {
        fs::copy(file, chosen.join(file.file_name().unwrap_or_default()))?;
    }
    let text = format!(
        "[model]\npath = '{model}'\n[dataset]\nresolution = 64\n[[dataset.folders]]\npath = '{chosen}'\nrepeats = 4\n\
         [lora]\nrank = 16\nalpha = 16.0\ntargets = ['text-encoder', {targets}]\n\
         [train]\nepochs = {epochs}\nbatch_size = 4\nunet_lr = {lr}\ntext_lr = {lr}\nseed = {seed}\nlatents = 'mode'\n\
         [objective]\nmin_snr_gamma = 5.0\n[schedule]\nkind = 'constant'\n\
         [output]\nfolder = '{out}'\nname = 'file'\noverwrite = true\n[checkpoint]\nkeep = 0\n\
         [preview]\nevery = 0\nsteps = 12\nguidance = 3.0\n[heldout]\nsplit = {heldout}\nevery = 0\ntimesteps = 8\n\
         [choose]\nsimilarity = true\npictures = 4\n",
        model = mini("base").display(),
        chosen = chosen.display(),
        out = folder.join("out").display(),
        targets = if targets == "convolution" {
            "'attention', 'convolution'"
        } else {
            "'attention'"
        },
    );
    fs::write(folder.join("run.toml"), &text)?;
    Ok(TrainConfig::read(folder.join("run.toml"), &[])?)
}

fn row(config: &TrainConfig, set: &str, seed: u64) -> Anyhow<String> {
    let mut record = RunRecord::default();
    let outcome = Trainer::open(config.clone())?.run(&mut |event: &Event<'_>| {
        record.note(event);
        ControlFlow::Continue(())
    })?;
    RunReport {
        config,
        outcome: &outcome,
        record: &record,
        grid: None,
        commit: None,
    }
    .write()?;
    // The truth: pictures that the run never saw, at noise that it never saw.
    let mut unseen = config.clone();
    unseen.train.seed = seed + 1000;
    unseen.dataset.folders[0].path = mini(&format!("{set}_heldout"));
    let device = config.train.device.resolve()?;
    let load = || BaseModel::load(&config.model.source(), &device);
    let model = load()?;
    let data = ImageFolders::open(&unseen.dataset)?;
    let measure = HeldoutLoss::new(&unseen, &data, &model, &device, None)?;
    let base = measure.measure(&model);
    let mut truth = Vec::new();
    for file in &outcome.ranked {
        let mut model = load()?;
        model.attach(&LoraFile::read(&file.path)?, 1.0, &device)?;
        truth.push(measure.measure(&model));
    }
    let best = lowest(&truth);
    let picked = outcome
        .ranked
        .iter()
        .position(|file| Some(&file.path) == outcome.best.as_ref());
    let picked = picked.ok_or("nothing was picked")?;
    let last = truth.len() - 1;
    let losses: Vec<f64> = outcome
        .ranked
        .iter()
        .filter_map(|file| file.heldout_loss)
        .collect();
    let unlike = |file: &RankedFile| {
        file.comparison
            .as_ref()
            .map_or(1.0, |told| -told.similarity)
    };
    let unlike: Vec<f64> = outcome.ranked.iter().map(unlike).collect();
    for (file, truth) in outcome.ranked.iter().zip(&truth) {
        tell(file, *truth)?;
    }
    Ok(format!(
        "{seed},{},{},{},{:.4},{:.4},{:.4},{base:.4},{:.2},{},{}",
        picked + 1,
        best + 1,
        last + 1,
        truth[picked],
        truth[best],
        truth[last],
        rank_correlation(&losses, &truth),
        lowest(&losses) + 1,
        lowest(&unlike) + 1
    ))
}

/// What was measured of a file, for who wants to see more than the table.
fn tell(file: &RankedFile, truth: f64) -> io::Result<()> {
    let mut out = io::stderr();
    let loss = file.heldout_loss.unwrap_or(f64::NAN);
    write!(
        out,
        "epoch {}: held-out {loss:.4}, unseen {truth:.4}",
        file.epoch
    )?;
    if let Some(told) = &file.comparison {
        write!(
            out,
            ", similarity {:.3} (colours {:.3}, edges {:.3}), copy distance {:.3} of {:.3}, copies {}",
            told.similarity,
            told.colours,
            told.edges,
            told.copy_distance,
            told.copy_threshold.unwrap_or(f64::NAN),
            told.copies
        )?;
    }
    writeln!(out)
}

fn lowest(values: &[f64]) -> usize {
    let places = 0..values.len();
    places
        .min_by(|&a, &b| values[a].total_cmp(&values[b]))
        .unwrap_or(0)
}

/// Spearman's: the correlation of the places in order.
fn rank_correlation(one: &[f64], other: &[f64]) -> f64 {
    let places = |values: &[f64]| -> Vec<f64> {
        let below = |value: f64| values.iter().filter(|other| **other < value).count() as f64;
        values.iter().map(|&value| below(value)).collect()
    };
    let (one, other) = (places(one), places(other));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (a, b) = (mean(&one), mean(&other));
    let product = |x: &[f64], a: f64, y: &[f64], b: f64| -> f64 {
        x.iter().zip(y).map(|(x, y)| (x - a) * (y - b)).sum()
    };
    product(&one, a, &other, b) / (product(&one, a, &one, a) * product(&other, b, &other, b)).sqrt()
}

fn mini(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../assets/mini")
        .join(name)
}
