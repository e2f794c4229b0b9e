//! A run that learns its pictures by heart: what it ranks first is what pictures confirm that it never saw.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use lora_core::{BaseModel, lora_file::LoraFile};
use lora_data::ImageFolders;
use lora_train::{Event, HeldoutLoss, Trainer, config::TrainConfig};

fn mini(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../assets/mini")
        .join(name)
}

/// Six pictures of the style, two of which are held out, at a rate that is much too high.
fn overfitting(folder: &Path) -> TrainConfig {
    let pictures = folder.join("pictures");
    fs::create_dir(&pictures).unwrap();
    for name in [
        "02_skull",
        "06_dog_face",
        "11_penguin",
        "14_crab",
        "19_pizza",
        "23_rocket",
    ] {
        for ending in ["png", "txt"] {
            let file = format!("{name}.{ending}");
            fs::copy(mini("style").join(&file), pictures.join(&file)).unwrap();
        }
    }
    let text = format!(
        "[model]\npath = '{}'\n[dataset]\nresolution = 64\n[[dataset.folders]]\npath = 'pictures'\nrepeats = 6\n\
         [lora]\nrank = 16\nalpha = 16.0\n\
         [train]\nepochs = 8\nbatch_size = 4\nunet_lr = 5e-3\ntext_lr = 5e-3\nlatents = 'mode'\ndevice = 'cpu'\n\
         [output]\nfolder = 'out'\nname = 'file'\n[checkpoint]\nkeep = 0\n\
         [heldout]\nsplit = 2\nevery = 0\ntimesteps = 8\n",
        mini("base").display()
    );
    fs::write(folder.join("run.toml"), text).unwrap();
    TrainConfig::read(folder.join("run.toml"), &[]).unwrap()
}

#[test]
fn the_choice_of_a_run_that_overfits_is_confirmed_by_pictures_that_it_never_saw() {
    let folder = tempfile::tempdir().unwrap();
    let config = overfitting(folder.path());
    let outcome = Trainer::open(config.clone())
        .unwrap()
        .run(&mut |_: &Event<'_>| ControlFlow::Continue(()))
        .unwrap();
    // Eight other pictures at other noise.
    let mut unseen = config.clone();
    unseen.train.seed += 1;
    unseen.dataset.folders[0].path = mini("style_heldout");
    let device = Device::flex();
    let load = || BaseModel::load(&config.model.source(), &device).unwrap();
    let base = load();
    let data = ImageFolders::open(&unseen.dataset).unwrap();
    let measure = HeldoutLoss::new(&unseen, &data, &base, &device, None).unwrap();
    let truth: Vec<(&PathBuf, f64)> = outcome
        .ranked
        .iter()
        .map(|file| {
            let mut model = load();
            let lora = LoraFile::read(&file.path).unwrap();
            model.attach(&lora, 1.0, &device).unwrap();
            (&file.path, measure.measure(&model))
        })
        .collect();
    let best = outcome.best.as_ref().unwrap();
    let picked = truth.iter().find(|(path, _)| *path == best).unwrap().1;
    let lowest = truth
        .iter()
        .map(|(_, loss)| *loss)
        .fold(f64::INFINITY, f64::min);
    let last = truth.last().unwrap().1;
    let told = format!("{:?} {truth:?}", outcome.heldout);
    assert!(last > 1.05 * lowest, "it does not overfit: {told}");
    assert!(
        outcome.ranked.last().map(|file| &file.path) != Some(best),
        "{told}"
    );
    // The spread of the measure itself over seeds is about 1.5 % (assets/mini/README.md).
    assert!(picked < 1.03 * lowest, "{told}");
    assert!(picked < measure.measure(&base), "{told}");
}
