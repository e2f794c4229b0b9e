//! What a run tells, in its log, its table, its TensorBoard file and the report's notes.

use std::{collections::BTreeMap, fs, ops::ControlFlow, path::Path};

use lora_train::{
    EVENT_FORMAT, Event, FilePlan, Plan, RunRecord, StepReport, TIMESTEP_BINS, Trainer,
    config::TrainConfig,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{config, own_parts::own_objective::LogCosh, run};

const TENSORBOARD: &str = "tensorboard/events.out.tfevents.0.lora";

fn lines(config: &TrainConfig) -> Vec<Value> {
    let log = fs::read_to_string(config.output.folder.join("metrics.jsonl")).expect("a log");
    let lines = log.lines().map(serde_json::from_str);
    lines.collect::<Result<_, _>>().expect("JSON")
}

fn sha256(path: &Path) -> String {
    let digest = Sha256::digest(fs::read(path).expect("a file"));
    digest
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The rows of a table as columns to cells; empty cells are left out.
pub(crate) fn table(config: &TrainConfig) -> Vec<BTreeMap<String, f64>> {
    let text = fs::read_to_string(config.output.folder.join("metrics.csv")).expect("a table");
    let mut rows = text.lines();
    let names: Vec<&str> = rows.next().expect("a head").split(',').collect();
    let row = |row: &str| {
        let cells: Vec<&str> = row.split(',').collect();
        assert_eq!(cells.len(), names.len(), "{row}");
        let named = names.iter().zip(cells).filter(|(_, cell)| !cell.is_empty());
        let cell = |(name, cell): (&&str, &str)| {
            let number = cell.parse().expect("a number");
            ((*name).to_owned(), number)
        };
        named.map(cell).collect()
    };
    rows.map(row).collect()
}

/// Before the first step, at the ends of epochs, in between; and the plan knows it, the files to the byte.
#[test]
fn previews_and_files_come_when_they_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.preview.every = 4;
    config.preview.every_epochs = 2.try_into().ok();
    config.preview.at_start = true;
    config.preview.prompts.truncate(1);
    config.output.save_every_steps = 2;
    // The fourth step ends an epoch.
    config.train.epochs = 4;
    config.dataset.folders[0].repeats = Some(1);
    let plan = Plan::open(&config).unwrap();
    let files = FilePlan::open(&config, &plan).unwrap();
    run(config.clone(), &mut |_| ControlFlow::Continue(()));
    let out = &config.output.folder;
    let mut names: Vec<String> = fs::read_dir(out.join("previews"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let steps = [
        "step00000000-0.png",
        "step00000004-0.png",
        "step00000008-0.png",
    ];
    assert_eq!(names, steps);
    assert_eq!(files.previews.count, steps.len() as u64);
    let planned = files.lora_files.iter();
    for file in planned.clone() {
        let bytes = fs::metadata(out.join(&file.name)).unwrap().len();
        assert_eq!(bytes, file.bytes, "{}", file.name.display());
    }
    let of_steps = planned.filter(|file| file.name.to_string_lossy().contains("-step"));
    assert_eq!(of_steps.count(), 4);
}

#[test]
fn the_log_begins_with_what_the_run_is_made_from_and_tells_the_hash_of_each_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let mut record = RunRecord::default();
    run(config.clone(), &mut |event| {
        record.note(event);
        ControlFlow::Continue(())
    });
    let out = &config.output.folder;
    let lines = lines(&config);
    let started = &lines[0];
    assert_eq!(
        (started["event"].as_str(), started["format"].as_u64()),
        (Some("started"), Some(u64::from(EVENT_FORMAT)))
    );
    let origin = &started["origin"];
    assert_eq!(origin["config_sha256"], sha256(&out.join("resolved.toml")));
    assert_eq!(origin["device"], "cpu");
    let saved = || lines.iter().filter(|event| event["event"] == "saved");
    assert_eq!(saved().count(), 3);
    for event in saved() {
        let path = Path::new(event["path"].as_str().unwrap());
        assert_eq!(event["sha256"], sha256(path), "{}", path.display());
    }
    // Notes that are taken while the run goes equal those that are read from its log.
    let mut read = RunRecord::default();
    read.note_log(&fs::read_to_string(out.join("metrics.jsonl")).unwrap());
    assert_eq!(read.files(), record.files());
    assert_eq!(read.origin(), record.origin());
    assert!((read.pictures_shown() - 12.0).abs() < 1e-9);
}

#[test]
fn the_table_and_tensorboards_file_have_what_the_log_has() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.heldout.folder = Some(folder.path().join("pictures"));
    let mut reports: Vec<StepReport> = Vec::new();
    run(config.clone(), &mut |event| {
        if let Event::Stepped(report) = event {
            reports.push((*report).clone());
        }
        ControlFlow::Continue(())
    });
    for report in &reports {
        let seen: Vec<f64> = report.loss_by_timestep.iter().flatten().copied().collect();
        let mean = seen.iter().sum::<f64>() / seen.len() as f64;
        assert!((report.balanced_loss.unwrap() - mean).abs() < 1e-12);
        assert_eq!(report.resident_bytes.is_some(), cfg!(target_os = "linux"));
        let pictures = report.pictures_per_second / report.steps_per_second;
        assert!((pictures - 2.0).abs() < 1e-9, "{pictures}");
        assert_eq!(report.text_learning_rate, Some(config.train.text_lr));
    }
    // Losses after two steps are those of the four pictures that were shown.
    let first = &reports[0];
    assert!((1..=4).contains(&first.loss_by_timestep.iter().flatten().count()));

    let table = table(&config);
    let of = |name: &str| -> Vec<f64> {
        let cells = table.iter().filter_map(|row| row.get(name));
        cells.copied().collect()
    };
    let losses: Vec<f64> = reports.iter().map(|report| report.loss).collect();
    let balanced = reports.iter().filter_map(|report| report.balanced_loss);
    assert_eq!(of("loss"), losses);
    assert_eq!(of("balanced_loss"), balanced.collect::<Vec<_>>());
    let last: Vec<f64> = reports
        .iter()
        .filter_map(|r| r.loss_by_timestep[9])
        .collect();
    assert_eq!(of("loss_t900_999"), last);
    let measured = lines(&config).into_iter();
    let measured: Vec<f64> = measured
        .filter_map(|event| event["heldout_loss"].as_f64())
        .collect();
    assert!(measured.len() > 2);
    // JSON's numbers do not always come back to the last bit.
    let told = of("heldout_loss");
    assert_eq!(told.len(), measured.len());
    for (told, measured) in told.iter().zip(measured) {
        assert!((told - measured).abs() < 1e-12, "{told} {measured}");
    }

    let bytes = fs::read(config.output.folder.join(TENSORBOARD)).unwrap();
    let holds = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
    for tag in [
        "brain.Event:2",
        "loss/balanced",
        "loss/heldout",
        "preview/1",
    ] {
        assert!(holds(tag.as_bytes()), "no {tag}");
    }
    let preview = config.output.folder.join("previews/step00000004-1.png");
    assert!(holds(&fs::read(preview).unwrap()), "no preview");
}

#[test]
fn logs_that_are_switched_off_are_not_written_and_those_of_an_earlier_run_are_gone() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    (config.preview.every, config.train.epochs) = (0, 1);
    run(config.clone(), &mut |_| ControlFlow::Continue(()));
    let out = config.output.folder.clone();
    let there =
        || ["metrics.jsonl", "metrics.csv", TENSORBOARD].map(|file| out.join(file).exists());
    assert_eq!(there(), [true; 3]);
    config.output.overwrite = true;
    (config.log.csv, config.log.tensorboard) = (false, false);
    run(config, &mut |_| ControlFlow::Continue(()));
    assert_eq!(there(), [true, false, false]);
}

#[test]
fn an_objective_that_gives_one_number_tells_no_loss_by_timestep() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.preview.every = 0;
    let trainer = Trainer::open(config).unwrap().with_objective(LogCosh);
    let mut told = 0;
    let outcome = trainer.run(&mut |event: &Event<'_>| {
        if let Event::Stepped(report) = event {
            assert_eq!(report.balanced_loss, None);
            assert_eq!(report.loss_by_timestep, [None; TIMESTEP_BINS]);
            assert!(report.loss > 0.0);
            told += 1;
        }
        ControlFlow::Continue(())
    });
    assert_eq!((outcome.unwrap().steps, told), (6, 3));
}
