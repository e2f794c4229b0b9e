//! Commands to a run from another thread.

use std::{fs, ops::ControlFlow, path::PathBuf, sync::mpsc, thread, time::Duration};

use lora_core::lora_file::LoraFile;
use lora_train::{Event, Resume, Trainer};

use crate::config;

#[test]
fn a_paused_run_takes_no_step_but_draws_and_saves_and_goes_on_as_if_nothing_had_been() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.train.log_every = 1.try_into().unwrap();
    config.preview.every = 0;
    config.preview.prompts.truncate(1);
    config.output.folder = folder.path().join("plain");
    let plain = Trainer::open(config.clone()).unwrap();
    let plain = plain
        .run(&mut |_: &Event<'_>| ControlFlow::Continue(()))
        .unwrap();

    config.output.folder = folder.path().join("paused");
    let trainer = Trainer::open(config.clone()).unwrap();
    let handle = trainer.handle();
    let (tell, told) = mpsc::channel();
    let commanding = handle.clone();
    let training = thread::spawn(move || {
        trainer.run(&mut |event: &Event<'_>| {
            if matches!(event, Event::Stepped(report) if report.step == 2) {
                commanding.pause();
            }
            let event = serde_json::to_value(event).expect("JSON");
            let name = event["event"].as_str().expect("a name").to_owned();
            tell.send(name).expect("heard");
            ControlFlow::Continue(())
        })
    });
    // What was told before the event.
    let until = |name: &str| {
        let events = std::iter::from_fn(|| told.recv_timeout(Duration::from_mins(1)).ok());
        events
            .take_while(|event| event != name)
            .collect::<Vec<String>>()
    };
    until("paused");
    handle.sample_now();
    assert!(until("sampled").is_empty());
    handle.save_now();
    assert!(until("saved").is_empty());
    thread::sleep(Duration::from_millis(300));
    handle.resume();
    assert!(until("resumed").is_empty(), "a step was taken in the pause");
    let paused = training.join().unwrap().unwrap();
    let saved = folder.path().join("paused/thing-step00000002.safetensors");
    assert!(saved.is_file());
    let modules = |path: Option<PathBuf>| {
        let file = LoraFile::read(path.expect("a file")).expect("sound");
        file.modules
    };
    assert_eq!(modules(paused.last), modules(plain.last));
}

#[test]
fn a_paused_run_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.preview.prompts.clear();
    let trainer = Trainer::open(config).unwrap();
    let handle = trainer.handle();
    handle.pause();
    let training =
        thread::spawn(move || trainer.run(&mut |_: &Event<'_>| ControlFlow::Continue(())));
    thread::sleep(Duration::from_millis(300));
    assert!(!training.is_finished());
    handle.stop();
    let outcome = training.join().unwrap().unwrap();
    assert_eq!((outcome.steps, outcome.stopped), (0, true));
}

#[test]
fn rates_that_are_scaled_are_told_and_stay_so_in_a_run_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.train.log_every = 1.try_into().unwrap();
    config.preview.prompts.clear();
    let trainer = Trainer::open(config.clone()).unwrap();
    let handle = trainer.handle();
    let mut observer = |event: &Event<'_>| match event {
        Event::Stepped(report) if report.step == 2 => {
            handle.scale_rates(0.5);
            handle.scale_rates(f64::NAN);
            ControlFlow::Continue(())
        }
        Event::Stepped(report) if report.step == 4 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    trainer.run(&mut observer).unwrap();
    let resume = Resume {
        from: None,
        allow_change: false,
    };
    let trainer = Trainer::resume(config.clone(), resume).unwrap();
    trainer
        .run(&mut |_: &Event<'_>| ControlFlow::Continue(()))
        .unwrap();

    let log = fs::read_to_string(config.output.folder.join("metrics.jsonl")).unwrap();
    let events = log.lines().map(serde_json::from_str::<serde_json::Value>);
    let events: Vec<_> = events.map(Result::unwrap).collect();
    let of = |name: &str| -> Vec<_> {
        let events = events.iter();
        events.filter(|event| event["event"] == name).collect()
    };
    let rates = of("stepped");
    let rates: Vec<f64> = rates
        .iter()
        .map(|event| event["learning_rate"].as_f64().unwrap())
        .collect();
    assert_eq!(rates.len(), 6);
    for (rate, expected) in rates.iter().zip([1e-4, 1e-4, 5e-5, 5e-5, 5e-5, 5e-5]) {
        assert!((rate / expected - 1.0).abs() < 1e-9, "{rates:?}");
    }
    let scaled = of("rates_scaled");
    assert_eq!(scaled.len(), 1);
    assert_eq!(scaled[0]["step"], 2);
}
