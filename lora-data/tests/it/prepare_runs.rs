//! Preparing pictures: what a second run does, how a stopped one goes on, and what is left alone.

use std::{collections::BTreeMap, fs, num::NonZeroUsize, ops::ControlFlow, time::SystemTime};

use lora_data::prepare::{CropMode, DuplicatePolicy, OutputFormat, PrepareProgress, PreparedState};

use crate::prepare_folder::{Place, is_written, of, problem, scene, varied};

/// Ten pictures of different sizes, some with captions, in two folders; all that there is to do is asked for.
fn busy() -> Place {
    let mut place = Place::squares(40);
    for index in 0..10 {
        let folder = ["3_one", "4_二"][index as usize % 2];
        place.picture(
            &format!("in/{folder}/{index}.png"),
            &scene(index, 60 + 13 * index, 50 + 7 * ((index * 5) % 9)),
        );
        if index % 3 == 0 {
            place.write(
                &format!("in/{folder}/{index}.txt"),
                format!("caption {index}\n"),
            );
        }
    }
    place.write("in/3_one/broken.png", "no picture");
    place.options.crop = CropMode::Smart;
    place.options.thumbnails = true;
    place.options.duplicates = DuplicatePolicy::Skip;
    place.options.near = 0;
    place
}

fn times(place: &Place) -> BTreeMap<String, SystemTime> {
    let names = place.files("out").into_keys();
    let time = |name: &String| {
        let path = place.path(&format!("out/{name}"));
        fs::metadata(path).unwrap().modified().unwrap()
    };
    names.map(|name| (name.clone(), time(&name))).collect()
}

#[test]
fn a_second_run_does_nothing_new() {
    let place = busy();
    let first = place.run();
    assert_eq!(
        first
            .pictures
            .iter()
            .filter(|one| one.state == PreparedState::Written)
            .count(),
        10
    );
    let (files, before) = (place.files("out"), times(&place));
    let second = place.run();
    for picture in &second.pictures {
        let is_broken = picture.picture == "3_one/broken.png";
        assert!(
            is_broken || picture.state == PreparedState::Unchanged,
            "{picture:?}"
        );
    }
    assert_eq!((place.files("out"), times(&place)), (files, before));
    let cuts = |report: &lora_data::prepare::PrepareReport| {
        let pictures = report.pictures.iter();
        pictures
            .map(|one| (one.cut.clone(), one.survey.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(cuts(&first), cuts(&second));
}

#[test]
fn what_comes_out_does_not_depend_on_threads_or_on_stops() {
    let mut place = busy();
    let originals = place.files("in");
    place.options.threads = NonZeroUsize::new(1);
    let report = place.run();
    assert_eq!(report.left, 0);
    let expected = place.files("out");
    // Pictures, captions, thumbnails and the record.
    assert_eq!(expected.len(), 10 + 4 + 20 + 1);
    place.options.threads = NonZeroUsize::new(4);
    for calls in [usize::MAX, 1, 5, 12, 15, 17] {
        fs::remove_dir_all(place.path("out")).unwrap();
        let stopped = place.run_until(calls);
        assert_eq!(
            stopped.left > 0,
            calls != usize::MAX && calls < 22,
            "{calls}"
        );
        if stopped.left > 0 {
            place.run();
        }
        let found = place.files("out");
        assert_eq!(
            found.keys().collect::<Vec<_>>(),
            expected.keys().collect::<Vec<_>>()
        );
        for (name, bytes) in &found {
            assert!(*bytes == expected[name], "{calls}: {name}");
        }
    }
    assert_eq!(place.files("in"), originals);
}

#[test]
fn a_run_that_was_killed_goes_on_whatever_is_missing() {
    let mut place = busy();
    place.run();
    let expected = place.files("out");
    let record = place.bytes("out/prepare.jsonl");
    // Killed between the line on the record and the file; and in the middle of a line.
    fs::remove_file(place.path("out/3_one/2.png")).unwrap();
    place.run();
    assert_eq!(place.files("out"), expected);
    let middle = record.len() * 2 / 3;
    place.write("out/prepare.jsonl", &record[..middle]);
    place.run();
    assert_eq!(place.files("out"), expected);
    // Killed after a line was added: that file is still known for ours when the options change.
    place.options.format = OutputFormat::Jpeg { quality: 80 };
    let lines: Vec<&[u8]> = record.split_inclusive(|&byte| byte == b'\n').collect();
    let renewed = String::from_utf8(lines[1].to_vec())
        .unwrap()
        .replace(".png", ".webp");
    place.write(
        "out/prepare.jsonl",
        [&record[..], renewed.as_bytes()].concat(),
    );
    place.run();
    assert!(
        place.made().iter().all(|name| !name.contains(".png")),
        "{:?}",
        place.made()
    );
}

#[test]
fn only_what_changed_is_made_again() {
    let mut place = Place::squares(40);
    place
        .picture("in/a.png", &varied(60, 50))
        .picture("in/b.png", &varied(70, 50))
        .write("in/b.txt", "old")
        .picture("in/c.png", &varied(80, 50));
    place.run();
    place
        .picture("in/a.png", &varied(50, 60))
        .write("in/b.txt", "new");
    let report = place.run();
    assert!(is_written(&report, "a.png") && is_written(&report, "b.png"));
    assert_eq!(of(&report, "c.png").state, PreparedState::Unchanged);
    assert_eq!(place.bytes("out/b.txt"), b"new");
    // A caption that is gone goes from the out folder too, and so do files of another format.
    fs::remove_file(place.path("in/b.txt")).unwrap();
    assert_eq!(of(&place.run(), "b.png").removed, ["b.txt"]);
    place.options.format = OutputFormat::Webp;
    let report = place.run();
    assert!(report.pictures.iter().all(|one| one.removed.len() == 1));
    assert_eq!(place.made(), ["a.webp", "b.webp", "c.webp"]);
    // What only decides on what is told makes nothing anew.
    place.options.near = 3;
    place.options.blur = 7;
    let report = place.run();
    assert!(
        report
            .pictures
            .iter()
            .all(|one| one.state == PreparedState::Unchanged)
    );
}

#[test]
fn what_others_made_or_changed_is_left_alone() {
    let mut place = Place::squares(40);
    place
        .picture("in/a.png", &varied(60, 50))
        .picture("in/b.png", &varied(70, 50))
        .write("in/b.txt", "caption")
        .write("out/a.png", "somebody's")
        .write("out/notes.txt", "somebody's");
    let report = place.run();
    let told = problem(&report, "a.png");
    assert!(
        told.contains("a.png: is there and was not made by lora prepare"),
        "{told}"
    );
    assert!(is_written(&report, "b.png"));
    place.write("out/b.txt", "corrected by hand");
    let report = place.run();
    assert_eq!(of(&report, "b.png").left, ["b.txt"]);
    // Nor when it would be made anew, or is not made any more.
    place.write("in/b.txt", "another");
    assert_eq!(of(&place.run(), "b.png").left, ["b.txt"]);
    fs::remove_file(place.path("in/b.txt")).unwrap();
    assert_eq!(of(&place.run(), "b.png").left, ["b.txt"]);
    assert_eq!(place.bytes("out/b.txt"), b"corrected by hand");
    assert_eq!(place.bytes("out/a.png"), b"somebody's");
    place.options.force = true;
    assert!(is_written(&place.run(), "a.png"));
    assert_eq!(place.decoded("out/a.png").dimensions(), (40, 40));
    assert_eq!(place.bytes("out/notes.txt"), b"somebody's");
}

#[test]
fn files_of_pictures_that_are_gone_are_told_and_removed_only_when_asked() {
    let mut place = Place::squares(40);
    place
        .picture("in/a.png", &varied(60, 50))
        .write("in/a.txt", "a")
        .picture("in/b.png", &varied(70, 50));
    place.run();
    fs::remove_file(place.path("in/a.png")).unwrap();
    fs::remove_file(place.path("in/a.txt")).unwrap();
    let report = place.run();
    assert_eq!(
        (report.gone, report.pruned.len()),
        (vec!["a.png".to_owned(), "a.txt".to_owned()], 0)
    );
    assert_eq!(place.made(), ["a.png", "a.txt", "b.png"]);
    // Another picture takes over the one, somebody changed the other.
    place
        .picture("in/a.jpg", &varied(80, 80))
        .write("out/a.txt", "mine now");
    place.options.prune = true;
    let report = place.run();
    assert_eq!(
        (report.gone.clone(), report.pruned.len()),
        (vec!["a.txt".to_owned()], 0)
    );
    assert!(is_written(&report, "a.jpg"));
    fs::remove_file(place.path("in/a.jpg")).unwrap();
    assert_eq!(place.run().pruned, ["a.png"]);
    assert_eq!(place.made(), ["a.txt", "b.png"]);
}

#[test]
fn a_dry_run_tells_the_same_and_writes_nothing() {
    let mut place = busy();
    place.options.dry_run = true;
    let dry = place.run();
    assert!(!place.path("out").exists());
    place.options.dry_run = false;
    place.options.thumbnails = false;
    let real = place.run();
    assert_eq!(dry.pictures, real.pictures);
    place.options.dry_run = true;
    place.options.format = OutputFormat::Webp;
    let before = place.files("out");
    let dry = place.run();
    assert_eq!(place.files("out"), before);
    assert_eq!(
        dry.pictures
            .iter()
            .map(|one| one.removed.len())
            .sum::<usize>(),
        10
    );
}

#[test]
fn two_runs_do_not_write_to_one_folder() {
    let place = busy();
    place.run();
    let before = place.files("out");
    let held = fs::File::open(place.path("out/.lora-prepare.lock")).unwrap();
    held.try_lock().unwrap();
    let preparation = place.open().unwrap();
    let told = &mut |_: PrepareProgress<'_>| ControlFlow::Continue(());
    let error = preparation.run(None, told).unwrap_err().to_string();
    assert!(
        error.contains("is being written to by another program"),
        "{error}"
    );
    assert_eq!(place.files("out"), before);
    drop(held);
    place.run();
}
