use std::fs;

use serde_json::Value;

use crate::{
    program::{GOLDEN, run, text, training_folder, transcript, with_filters},
    small_run::Place,
};

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

/// Each form of adapters, on each family.
#[test]
fn sizes_of_files_are_told_beforehand_to_the_byte() {
    let place = Place::new();
    let mut number = 0;
    for (family, forms) in [
        (
            "tiny-sd15",
            &[
                "",
                "lora.targets=['text-encoder', 'attention', 'convolution'] lora.conv_rank=3",
                "lora.algorithm=loha lora.targets=['attention', 'convolution']",
                "lora.algorithm=lokr lora.targets=['attention', 'convolution'] lora.factor=4",
                "lora.algorithm=lokr lora.rank=1 lora.decompose_both=true",
                "lora.dora=true lora.targets=['attention', 'convolution']",
                "lora.start=pissa output.dtype=f32",
                "lora.freeze_down=true optimizer={kind='lion'} output.private=true",
                "lora.blocks=[{layers=['MID'],rank=5},{layers=['IN01'],lr=0}] ema.decay=0.9",
            ][..],
        ),
        (
            "tiny-sd21",
            &["train.text_lr=0", "lora.algorithm=loha output.dtype=bf16"],
        ),
        (
            "tiny-sdxl",
            &[
                "lora.targets=['text-encoder', 'attention'] train.text_lr_2=0",
                "lora.algorithm=lokr lora.dora=true optimizer={kind='adamw8bit',min_8bit_size=64}",
            ],
        ),
    ] {
        for form in forms {
            number += 1;
            // A space within brackets belongs to the value.
            let mut settings = vec![
                format!("model.path={GOLDEN}/{family}"),
                format!("output.folder=out {number}"),
                "train.max_steps=7".to_owned(),
                "lora.dropout.rank=0".to_owned(),
            ];
            settings.extend(split(form));
            let run = |command: &str, more: &[&str]| {
                let mut program = place.program();
                program.args([command, "run.toml"]).args(more);
                for setting in &settings {
                    program.args(["--set", setting]);
                }
                let output = program.output().expect("a process");
                assert!(output.status.success(), "{form}: {}", text(&output.stderr));
                text(&output.stdout)
            };
            let plan: Value = serde_json::from_str(&run("plan", &["--json"])).expect("JSON");
            run("train", &[]);
            let files = plan["files"]["lora_files"].as_array().expect("a list");
            assert_eq!(files.len(), 3);
            let folder = place.out(&format!("out {number}"));
            for file in files {
                let name = file["name"].as_str().expect("a name");
                let bytes = fs::metadata(folder.join(name)).expect(name).len();
                assert_eq!(file["bytes"], bytes, "{family} {form} {name}");
            }
            let checkpoints = folder.join("checkpoints").read_dir().expect("a folder");
            let lengths = checkpoints.map(|file| {
                let file = file.and_then(|file| file.metadata());
                file.expect("a file").len()
            });
            let lengths: Vec<u64> = lengths.collect();
            let told = &plan["files"]["checkpoints"];
            assert_eq!(told["count"], lengths.len());
            let (told, is) = (
                told["bytes"].as_f64().expect("a number"),
                lengths.iter().sum::<u64>() as f64,
            );
            assert!(
                (told / is - 1.0).abs() < 0.03,
                "{family} {form}: {told} {is}"
            );
        }
    }
}

/// `key=value` pairs between spaces, those within brackets left alone.
fn split(settings: &str) -> Vec<String> {
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for letter in settings.chars() {
        depth += i32::from("[{".contains(letter)) - i32::from("]}".contains(letter));
        match parts.last_mut() {
            Some(part) if letter != ' ' || depth > 0 => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

#[test]
fn a_few_steps_are_timed_and_nothing_is_written() {
    let place = Place::new();
    let mut program = place.program();
    program.args(["plan", "run.toml", "--json", "--measure=2"]);
    for setting in [
        "preview.every=4",
        "preview.prompts=['sks', 'a fox']",
        "preview.steps=1",
        "heldout.folder=pictures",
        "heldout.every=5",
        "output.folder=nothing",
    ] {
        program.args(["--set", setting]);
    }
    let output = program.output().expect("a process");
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!place.out("nothing").exists());
    let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let time = &plan["time"];
    let number = |key: &str| time[key].as_f64().expect(key);
    assert_eq!(time["timed_steps"].as_array().map(Vec::len), Some(2));
    // Measured at 0, 5, 6, 10 and 12; checkpoints every 2 steps, before the files of both epochs and after those of the first.
    let counts = ["steps", "previews", "heldouts", "files", "checkpoints"].map(|key| &time[key]);
    assert_eq!(counts, [12, 3, 5, 3, 9]);
    let sum = 12.0 * number("step")
        + 3.0 * number("preview")
        + 5.0 * number("heldout")
        + 3.0 * number("file")
        + 9.0 * number("checkpoint");
    assert!((sum / number("training") - 1.0).abs() < 1e-9);
    assert!(number("total") > sum && number("step") > 0.0);
}

#[test]
fn a_disk_without_room_is_warned_of() {
    let place = Place::new();
    let plan = |settings: &[&str]| {
        let mut program = place.program();
        program.args(["plan", "run.toml", "--set", "output.folder=here"]);
        for setting in settings {
            program.args(["--set", setting]);
        }
        let output = program.output().expect("a process");
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert!(!plan(&[]).contains("warning"));
    // More previews than any disk has room for.
    let many = plan(&[
        "preview.every=1",
        "preview.prompts=['sks --w 2048 --h 2048']",
        "train.epochs=1000000",
        "output.save_every_epochs=1000000",
    ]);
    assert!(many.contains("warning: the run needs up to"), "{many}");
}

#[test]
fn memory_is_told_and_follows_the_settings() {
    let (folder, path) = training_folder();
    let path = path.display().to_string();
    let memory = |settings: &[&str]| {
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let all = ["plan", &path, "--json", "--device", "cpu"]
            .into_iter()
            .chain(set);
        let output = run(folder.path(), &all.collect::<Vec<_>>());
        let plan: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let bytes = |part: &str| plan["memory"][part].as_u64().expect("bytes");
        let phases = ["training", "preparing", "drawing"].map(bytes);
        assert_eq!(bytes("peak"), phases.into_iter().max().expect("three"));
        let parts = [
            "program",
            "weights",
            "adapters",
            "optimizer",
            "activations",
            "latents",
        ];
        assert_eq!(bytes("training"), parts.map(bytes).iter().sum::<u64>());
        ["weights", "adapters", "optimizer", "activations"].map(bytes)
    };
    let [weights, adapters, optimizer, activations] = memory(&[]);
    // AdamW keeps two numbers for each that is trained; a gradient and the number itself are the other two.
    let off = optimizer.abs_diff(adapters) as f64 / adapters as f64;
    assert!(off < 0.02, "{optimizer} {adapters}");
    let [_, _, eight_bits, _] = memory(&["optimizer.kind=adamw8bit", "optimizer.min_8bit_size=1"]);
    assert!(
        4 * eight_bits < 11 * optimizer / 10,
        "{eight_bits} {optimizer}"
    );
    let [.., twice] = memory(&["train.batch_size=8"]);
    assert_eq!(twice, 2 * activations);
    let [.., block] = memory(&["train.gradient_checkpointing=block"]);
    let [.., least] = memory(&["train.gradient_checkpointing=aggressive"]);
    assert!(
        least < block && 2 * block < activations,
        "{least} {block} {activations}"
    );
    let [leaner, ..] = memory(&["model.offload=true", "train.text_lr=0"]);
    assert!(leaner < weights);
}
