use crate::program::{run, training_folder, transcript, with_filters};

#[test]
fn a_plan_shows_how_the_steps_come_about() {
    let (folder, path) = training_folder();
    let run = path.display().to_string();
    with_filters(|| {
        let told = transcript(folder.path(), &["plan", &run, "--device", "cpu"]);
        insta::assert_snapshot!("plan", told);
        let shorter = [
            "plan",
            &run,
            "--device",
            "cpu",
            "--set",
            "train.epochs=2",
            "--set",
            "train.accumulation=2",
        ];
        insta::assert_snapshot!("plan_accumulated", transcript(folder.path(), &shorter));
    });
}

#[test]
fn a_program_can_read_it() {
    let (folder, path) = training_folder();
    let output = run(
        folder.path(),
        &["plan", &path.display().to_string(), "--json"],
    );
    let plan: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(plan["images"], 24);
    assert_eq!(plan["steps_per_epoch"], 54);
    assert_eq!(plan["steps"], 300);
    assert_eq!(plan["saved_epochs"], serde_json::json!([1, 2, 3, 4, 5, 6]));
    assert_eq!(plan["pictures"].as_array().map(Vec::len), Some(24));
}

#[test]
fn what_is_not_usual_about_the_loss_is_told() {
    let (folder, path) = training_folder();
    let path = path.display().to_string();
    let plan = |settings: &[&str]| {
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let all = ["plan", &path, "--device", "cpu"].into_iter().chain(set);
        transcript(folder.path(), &all.collect::<Vec<_>>())
    };
    assert!(!plan(&[]).contains("timesteps"));
    let told = plan(&[
        "lora.algorithm=loha",
        "lora.rank=8",
        "lora.alpha=4",
        "lora.dropout.module=0.1",
    ]);
    assert!(
        told.contains("\nrank 8, alpha 4, algorithm = \"loha\", "),
        "{told}"
    );
    assert!(told.contains("module = 0.1"), "{told}");
    let told = plan(&[
        "objective.loss_type=huber",
        "objective.huber_c=0.2",
        "timesteps.max=800",
        "objective.weight_table={ by = 'timestep', points = [[0, 1], [999, 0.5]] }",
    ]);
    let line = "objective huber_c = 0.2, loss_type = \"huber\", weight_table = ";
    assert!(told.contains(line), "{told}");
    assert!(told.contains("\ntimesteps max = 800\n"), "{told}");
    let refused = plan(&["objective.p2_gamma=1", "objective.min_snr_gamma=5"]);
    assert!(
        refused.contains("objective: `min_snr_gamma` and `p2_gamma`"),
        "{refused}"
    );
}

#[test]
fn an_epoch_can_be_listed() {
    let (folder, path) = training_folder();
    let plan = |more: &[&str]| {
        let path = path.display().to_string();
        let all = ["plan", &path, "--device", "cpu"];
        let short = [
            "--set",
            "train.max_steps=3",
            "--set",
            "dataset.augment.flip=true",
        ];
        transcript(folder.path(), &[&all[..], &short, more].concat())
    };
    with_filters(|| insta::assert_snapshot!("plan_epoch", plan(&["--epoch", "1"])));
    assert!(plan(&["--epoch", "2"]).contains("there is no epoch 2: the run has 1"));
    let json = plan(&["--epoch", "1", "--json"]);
    assert!(json.contains("\"epoch\": {") && json.contains("\"step\": 3"));
}
