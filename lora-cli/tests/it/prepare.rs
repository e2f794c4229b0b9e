use std::{fs, path::Path};
#[cfg(unix)]
use std::{
    process::{Command, Stdio},
    thread,
    time::Duration,
};

#[cfg(unix)]
use crate::program::lora;
use crate::program::{run, text, transcript, with_filters};

/// The photographs of lora-data's tests.
const PICTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lora-data/tests/pictures");

/// Three photographs, one of them twice, one with a caption, and a file that is no picture.
fn pile() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let pile = folder.path().join("pile/10_sks woman");
    fs::create_dir_all(&pile).expect("a folder");
    for (from, to) in [
        ("astronaut.png", "astronaut.png"),
        ("astronaut.png", "又一个.png"),
        ("coffee.png", "coffee.png"),
        ("chelsea.png", "chelsea.png"),
    ] {
        fs::copy(Path::new(PICTURES).join(from), pile.join(to)).expect("a copy");
    }
    fs::write(pile.join("astronaut.txt"), "sks woman\n").expect("a caption");
    folder
}

#[test]
fn a_pile_is_prepared_and_shown_on_a_contact_sheet() {
    let folder = pile();
    let arguments = [
        "prepare", "pile", "out", "--size", "200", "--crop", "face", "--sheet", "both",
    ];
    with_filters(|| {
        let dry = [&arguments[..], &["--dry-run"]].concat();
        insta::assert_snapshot!("prepare_dry_run", transcript(folder.path(), &dry));
        assert!(!folder.path().join("out").exists());
        insta::assert_snapshot!("prepare", transcript(folder.path(), &arguments));
    });
    let out = |name: &str| folder.path().join("out").join(name);
    let picture = image::open(out("10_sks woman/又一个.png")).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (200, 200));
    assert_eq!(
        fs::read(out("10_sks woman/astronaut.txt")).expect("a caption"),
        b"sks woman\n"
    );
    let page = fs::read_to_string(out("contact-sheet.html")).expect("a page");
    // Four pictures before and after, and the two of the group of copies.
    assert_eq!(page.matches("src=\"data:image/jpeg").count(), 10);
    let sheet = image::open(folder.path().join("out-contact-sheet.png")).expect("a sheet");
    assert!(sheet.width() > 600 && sheet.height() > 400);
    let again = run(folder.path(), &arguments);
    assert!(
        text(&again.stdout).contains("4 pictures: 4 there already"),
        "{}",
        text(&again.stdout)
    );
    assert_eq!(
        fs::read_to_string(out("contact-sheet.html")).expect("a page"),
        page
    );
}

#[test]
fn a_program_can_read_what_was_done_and_broken_pictures_end_with_1() {
    let folder = pile();
    fs::write(
        folder.path().join("pile/10_sks woman/broken.jpg"),
        "no picture",
    )
    .expect("written");
    let output = run(
        folder.path(),
        &[
            "prepare",
            "pile",
            "out",
            "--size",
            "100",
            "--duplicates",
            "skip",
            "--json",
            "--sheet",
            "none",
            "-q",
        ],
    );
    assert_eq!(output.status.code(), Some(1));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(document["complete"], true);
    assert_eq!(
        document["duplicates"][0]["kept"],
        "10_sks woman/astronaut.png"
    );
    let pictures = document["pictures"].as_array().expect("pictures");
    let states: Vec<&str> = pictures
        .iter()
        .filter_map(|one| one["state"].as_str())
        .collect();
    assert_eq!(
        states,
        ["written", "failed", "written", "written", "skipped"]
    );
    assert_eq!(
        pictures[4]["reason"]["duplicate"],
        "10_sks woman/astronaut.png"
    );
    assert!(!folder.path().join("out/.prepare").exists());
}

#[test]
fn what_cannot_go_well_is_refused() {
    let folder = pile();
    fs::create_dir(folder.path().join("theirs")).expect("a folder");
    fs::write(folder.path().join("theirs/contact-sheet.html"), "theirs").expect("written");
    fs::write(
        folder.path().join("boxes.csv"),
        "name,x,y,width,height\na.png,1,2,x,4\n",
    )
    .expect("written");
    with_filters(|| {
        let all = [
            &["prepare", "pile", "pile/out"][..],
            &["prepare", "pile", "theirs"],
            &["prepare", "pile", "out", "--boxes", "boxes.csv"],
            &["prepare", "pile", "out", "--crop", "face"],
            &["prepare", "nowhere", "out"],
        ];
        let told = all.map(|arguments| transcript(folder.path(), arguments));
        insta::assert_snapshot!("prepare_errors", told.join("\n"));
    });
    assert_eq!(
        fs::read(folder.path().join("theirs/contact-sheet.html")).expect("there"),
        b"theirs"
    );
    assert!(!folder.path().join("out").exists());
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_with_130_and_the_same_command_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let pile = folder.path().join("pile");
    fs::create_dir(&pile).expect("a folder");
    let picture = image::open(Path::new(PICTURES).join("coffee.png")).expect("a picture");
    let large = picture.resize_exact(2400, 1600, image::imageops::FilterType::Nearest);
    large.save(pile.join("0.png")).expect("saved");
    for index in 1..60 {
        fs::copy(pile.join("0.png"), pile.join(format!("{index}.png"))).expect("a copy");
    }
    let arguments = ["prepare", "pile", "out", "--size", "128", "--threads", "1"];
    let child = lora(folder.path())
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let made = || fs::read_dir(folder.path().join("out")).map_or(0, Iterator::count);
    while made() < 4 {
        thread::sleep(Duration::from_millis(5));
    }
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(kill.expect("kill is there").success());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("the same command goes on"));
    assert!(!folder.path().join("out/contact-sheet.html").exists());
    let rest = run(folder.path(), &arguments);
    assert!(rest.status.success());
    assert!(
        text(&rest.stdout).contains("there already"),
        "{}",
        text(&rest.stdout)
    );
    assert!(folder.path().join("out/contact-sheet.html").is_file());
}
