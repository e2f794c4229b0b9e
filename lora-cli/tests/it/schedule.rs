use std::fs;

use crate::program::{run, text, training_folder, transcript, with_filters};

#[test]
fn rates_are_told_drawn_and_read_by_programs() {
    let (folder, path) = training_folder();
    let path = path.display().to_string();
    let schedule = |arguments: &[&str]| {
        let all: Vec<&str> = ["schedule"].iter().chain(arguments).copied().collect();
        transcript(folder.path(), &all)
    };
    with_filters(|| {
        let some = [
            "--kind",
            "cosine,rex,one_cycle",
            "--warmup",
            "0.1",
            "--steps",
            "101",
        ];
        insta::assert_snapshot!("schedule", schedule(&some));
        let wrong = ["--kind", "cosine", "--min-factor", "3"];
        insta::assert_snapshot!("schedule_wrong", schedule(&wrong));
        let plot = [path.as_str(), "--plot", "rates.png"];
        insta::assert_snapshot!("schedule_of_a_run", schedule(&plot));
    });
    let picture = image::open(folder.path().join("rates.png")).unwrap();
    assert_eq!((picture.width(), picture.height()), (1200, 520));
    let json = run(
        folder.path(),
        &["schedule", &path, "--kind", "linear", "--json"],
    );
    let told: serde_json::Value = serde_json::from_str(&text(&json.stdout)).unwrap();
    assert_eq!(told["steps"], 300);
    let rates = told["schedules"][0]["rates"].as_array().unwrap();
    assert_eq!(rates.len(), 300);
    assert!((rates[150].as_f64().unwrap() - 0.5e-3).abs() < 1e-12);
    assert!(fs::exists(folder.path().join("out")).is_ok_and(|there| !there));
}
