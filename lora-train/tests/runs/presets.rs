//! Every preset trains, from the run file that it becomes.

use std::{fs, ops::ControlFlow, path::Path};

use lora_core::{Family, adapter::Target};
use lora_train::{
    Plan,
    config::TrainConfig,
    preset::{PictureSurvey, Preset, StartingPoint},
};

use crate::{config, golden, run};

/// The run file of a preset, with the three pictures of the other runs, beside them.
fn point(preset: Preset, folder: &Path) -> StartingPoint {
    let pictures = folder.join("pictures/2_sks thing");
    if !pictures.exists() {
        config(folder);
    }
    StartingPoint {
        preset,
        model: golden(match preset.family {
            Family::Sd1 => "tiny-sd15",
            Family::Sd2 => "tiny-sd21",
            Family::Sdxl => "tiny-sdxl",
        }),
        survey: PictureSurvey::open(&folder.join("pictures"), "sks thing").unwrap(),
        pictures: folder.join("pictures"),
        trigger: "sks thing".to_owned(),
    }
}

#[test]
fn every_preset_trains_the_small_model() {
    let sd2 = [false, true].map(|low_memory| Preset {
        family: Family::Sd2,
        low_memory,
        ..Preset::default()
    });
    for preset in Preset::all().chain(sd2) {
        let name = preset.name();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.toml");
        fs::write(&path, point(preset, folder.path()).text(folder.path())).unwrap();
        let written = TrainConfig::read(&path, &[]).unwrap();
        Plan::check(&written).unwrap_or_else(|error| panic!("{name}: {error}"));
        let small = [
            "dataset.resolution=64",
            "dataset.buckets={ min = 64, max = 128 }",
            "train.max_steps=3",
            "train.device=cpu",
            "preview.every=0",
        ];
        let config = TrainConfig::read(&path, &small.map(str::to_owned)).unwrap();
        let cache = config.cache.folder.clone();
        assert_eq!(cache.is_some(), preset.low_memory);
        let trains_text = config.trains_text();
        assert_eq!(trains_text, preset.family != Family::Sdxl, "{name}");
        assert!(config.adapters().targets.contains(&Target::Attention));
        let outcome = run(config, &mut |_| ControlFlow::Continue(()));
        assert_eq!(outcome.steps, 3, "{name}");
        assert!(
            outcome
                .last
                .unwrap()
                .starts_with(folder.path().join("output/sks_thing"))
        );
        assert!(cache.is_none_or(|folder| folder.is_dir()), "{name}");
    }
}

#[test]
fn a_survey_tells_captions_and_names_of_folders() {
    let folder = tempfile::tempdir().unwrap();
    config(folder.path());
    let pictures = folder.path().join("pictures/2_sks thing");
    fs::write(pictures.join("0.txt"), "SKS thing, red").unwrap();
    fs::write(pictures.join("1.txt"), "blue").unwrap();
    for path in [folder.path().join("pictures"), pictures] {
        let survey = PictureSurvey::open(&path, "sks thing").unwrap();
        let named: Vec<_> = survey.named.into_iter().collect();
        assert_eq!(named, [("2_sks thing".to_owned(), 2)]);
        assert_eq!(
            (
                survey.pictures,
                survey.without_caption,
                survey.without_trigger
            ),
            (3, 1, 1)
        );
    }
    assert!(PictureSurvey::open(&folder.path().join("nowhere"), "sks").is_err());
}
