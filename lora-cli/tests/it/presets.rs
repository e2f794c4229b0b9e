//! `lora init`, `lora presets` and `lora import`.

use std::fs;

use crate::program::{GOLDEN, MINI, run, text, transcript, with_filters};

const IMPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/import");

/// A folder with three captioned pictures in `pictures`, and in `dataset/10_sks dog` two without captions.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let flat = folder.path().join("pictures");
    let named = folder.path().join("dataset/10_sks dog");
    fs::create_dir_all(&flat).expect("made");
    fs::create_dir_all(&named).expect("made");
    for (index, name) in ["00_face_with_tears_of_joy", "02_skull", "03_ghost"]
        .iter()
        .enumerate()
    {
        let from = format!("{MINI}/style/{name}.png");
        fs::copy(&from, flat.join(format!("{index}.png"))).expect("copied");
        fs::write(flat.join(format!("{index}.txt")), "miku, smile").expect("written");
        if index < 2 {
            fs::copy(&from, named.join(format!("{index}.png"))).expect("copied");
        }
    }
    folder
}

#[test]
fn a_run_file_is_written_with_comments() {
    let folder = folder();
    let here = folder.path();
    let model = format!("{GOLDEN}/tiny-sd15");
    let init = [
        "init",
        "--preset",
        "anime",
        "--model",
        &model,
        "--pictures",
        "pictures",
        "--trigger",
        "miku",
    ];
    with_filters(|| {
        insta::assert_snapshot!("init", transcript(here, &init));
        let written = fs::read_to_string(here.join("run.toml")).expect("written");
        insta::assert_snapshot!("init_run", written);
        insta::assert_snapshot!("init_again", transcript(here, &init));
    });
    let forced: Vec<&str> = init.into_iter().chain(["--force"]).collect();
    assert!(run(here, &forced).status.success());
    let plan = run(here, &["plan", "run.toml"]);
    assert!(plan.status.success(), "{}", text(&plan.stderr));
}

#[test]
fn the_family_is_seen_and_names_of_folders_say_repeats() {
    let folder = folder();
    let here = folder.path();
    let model = format!("{GOLDEN}/tiny-sdxl");
    let init = |more: &[&'static str]| {
        let given = ["init", "--pictures", "dataset", "--force"];
        let mut arguments: Vec<String> = given
            .into_iter()
            .chain(more.iter().copied())
            .map(str::to_owned)
            .collect();
        if !more.contains(&"--trigger") {
            arguments.extend(["--trigger".to_owned(), "sks dog".to_owned()]);
        }
        arguments
    };
    let told = |arguments: Vec<String>| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        transcript(here, &arguments)
    };
    let mut sdxl = init(&["--low-memory"]);
    sdxl.extend(["--model".to_owned(), model.clone()]);
    let mut contradicted = init(&["--family", "sd1"]);
    contradicted.extend(["--model".to_owned(), model]);
    with_filters(|| {
        insta::assert_snapshot!("init_sdxl", told(sdxl));
        let written = fs::read_to_string(here.join("run.toml")).expect("written");
        insta::assert_snapshot!("init_sdxl_run", written);
        insta::assert_snapshot!("init_contradicted", told(contradicted));
        insta::assert_snapshot!(
            "init_no_model",
            told(init(&[
                "--model",
                "base.safetensors",
                "--out",
                "runs/a.toml"
            ]))
        );
        insta::assert_snapshot!(
            "init_no_trigger",
            told(init(&["--model", "base.safetensors", "--trigger", " "]))
        );
    });
}

#[test]
fn presets_are_shown_side_by_side() {
    let here = ".".as_ref();
    with_filters(|| {
        insta::assert_snapshot!("presets", transcript(here, &["presets"]));
        insta::assert_snapshot!(
            "presets_one",
            transcript(here, &["presets", "anime-sdxl-low-memory"])
        );
        insta::assert_snapshot!(
            "presets_json",
            transcript(here, &["presets", "portrait", "--json"])
        );
        insta::assert_snapshot!("presets_unknown", transcript(here, &["presets", "manga"]));
    });
}

#[test]
fn other_trainers_configs_are_read_and_told() {
    let folder = folder();
    let here = folder.path();
    with_filters(|| {
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\S*/testdata/import", "[IMPORT]");
        settings.bind(|| {
            for (file, name) in [
                ("kohya.toml", "kohya"),
                ("akegarasu.toml", "akegarasu"),
                ("kohya_ss.json", "gui"),
                ("dataset.toml", "dataset"),
            ] {
                let path = format!("{IMPORT}/{file}");
                let out = format!("{name}.toml");
                insta::assert_snapshot!(
                    format!("import_{name}"),
                    transcript(here, &["import", &path, "--out", &out])
                );
                let written = fs::read_to_string(here.join(&out)).expect("written");
                insta::assert_snapshot!(format!("import_{name}_run"), written);
                let again = run(here, &["import", &path, "--out", &out]);
                assert_eq!(again.status.code(), Some(1), "it would write over {out}");
            }
            let path = format!("{IMPORT}/dataset.toml");
            insta::assert_snapshot!(
                "import_json",
                transcript(here, &["import", &path, "--json"])
            );
            insta::assert_snapshot!(
                "import_not_foreign",
                transcript(here, &["import", "run.toml", "--out", "again.toml"])
            );
        });
    });
}
