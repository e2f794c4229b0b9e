//! Tagging folders: which pictures, what is written, what a second run does.

use std::{
    fs,
    num::NonZeroUsize,
    ops::ControlFlow,
    sync::atomic::{AtomicUsize, Ordering},
};

use image::{ImageFormat, Rgb, RgbImage};
use lora_data::tagger::{
    CaptionMode, Outcome, TagConfig, TagEvent, TagList, TagReport, TagRun, TagWording, Tagger,
    TaggerError,
};

use crate::folder::{Folder, encoded};

/// Knows red, green and blue, as likely as the picture's first pixel has of them.
struct ColourTagger {
    tags: TagList,
    batch: usize,
    /// Pictures looked at.
    seen: AtomicUsize,
}

impl ColourTagger {
    fn new(batch: usize) -> Self {
        Self {
            tags: TagList::parse("colours", b"red\ngreen_grass\nblue_sky\n").unwrap(),
            batch,
            seen: AtomicUsize::new(0),
        }
    }
}

impl Tagger for ColourTagger {
    fn tags(&self) -> &TagList {
        &self.tags
    }

    fn batch(&self) -> usize {
        self.batch
    }

    fn identity(&self) -> String {
        "colours".to_owned()
    }

    fn input(&self, picture: &RgbImage) -> Result<Vec<f32>, TaggerError> {
        let Rgb(bytes) = picture.get_pixel(0, 0);
        Ok(bytes.map(|byte| f32::from(byte) / 255.0).into())
    }

    fn probabilities(&self, inputs: &[f32], count: usize) -> Result<Vec<f32>, TaggerError> {
        assert!(count <= self.batch && inputs.len() == 3 * count);
        self.seen.fetch_add(count, Ordering::Relaxed);
        Ok(inputs.to_vec())
    }
}

const RED: [u8; 3] = [255, 0, 0];
const MEADOW: [u8; 3] = [0, 200, 255];
const BLACK: [u8; 3] = [0, 0, 0];

trait Coloured {
    fn coloured(&self, name: &str, colour: [u8; 3]) -> &Self;
    fn read(&self, name: &str) -> String;
}

impl Coloured for Folder {
    fn coloured(&self, name: &str, colour: [u8; 3]) -> &Self {
        let picture = RgbImage::from_pixel(4, 6, Rgb(colour));
        self.write(name, encoded(&picture, ImageFormat::Png))
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|_| "(no file)".to_owned())
    }
}

fn run<'a>(tagger: &'a ColourTagger, threads: usize, config: &'a TagConfig) -> TagRun<'a> {
    TagRun {
        tagger,
        config,
        threads: NonZeroUsize::new(threads).unwrap(),
        dry_run: false,
    }
}

fn tag(folder: &Folder, config: &TagConfig) -> TagReport {
    let tagger = ColourTagger::new(1);
    let run = run(&tagger, 2, config);
    run.run(&folder.path(""), |_| ControlFlow::Continue(()))
        .unwrap()
}

fn in_mode(mode: CaptionMode) -> TagConfig {
    TagConfig {
        mode,
        wording: TagWording {
            prepend: vec!["sks".to_owned()],
            ..TagWording::default()
        },
        ..TagConfig::default()
    }
}

#[test]
fn captions_are_written_beside_the_pictures() {
    let folder = Folder::new();
    folder
        .coloured("一 只 狐狸.png", RED)
        .coloured("meadow.v2.png", MEADOW)
        .coloured("night.png", BLACK);
    let report = tag(&folder, &TagConfig::default());
    assert_eq!(folder.read("一 只 狐狸.txt"), "red\n");
    assert_eq!(folder.read("meadow.v2.txt"), "blue sky, green grass\n");
    assert!(!folder.path("night.txt").exists());
    assert_eq!(
        (report.written, report.left, report.failed.len()),
        (2, 0, 0)
    );
    assert_eq!(report.without_tags, [folder.path("night.png")]);
    let frequent: Vec<_> = report
        .frequent
        .iter()
        .map(|one| (one.tag.as_str(), one.pictures))
        .collect();
    assert_eq!(frequent, [("blue sky", 1), ("green grass", 1), ("red", 1)]);
    assert_eq!(fs::read_dir(folder.path("")).unwrap().count(), 5);
}

#[test]
fn what_people_wrote_is_kept_unless_told_otherwise() {
    for (mode, a, b, empty, other) in [
        (
            CaptionMode::Skip,
            "my dog",
            "\u{feff}Blue_Sky,\r\nmore\r\n",
            "sks, red\r\n",
            "mine",
        ),
        (
            CaptionMode::Overwrite,
            "sks, red\n",
            "sks, blue sky, green grass\n",
            "sks, red\n",
            "sks, red\n",
        ),
        (
            CaptionMode::Append,
            "sks, my dog, red",
            "\u{feff}sks, Blue_Sky, green grass\r\nmore\r\n",
            "sks, red\r\n",
            "sks, mine, red",
        ),
        (
            CaptionMode::Prepend,
            "sks, red, my dog",
            "\u{feff}sks, green grass, Blue_Sky\r\nmore\r\n",
            "sks, red\r\n",
            "sks, red, mine",
        ),
    ] {
        let folder = Folder::new();
        folder.coloured("a.png", RED).write("a.txt", "my dog");
        folder
            .coloured("b.png", MEADOW)
            .write("b.txt", "\u{feff}Blue_Sky,\r\nmore\r\n");
        folder
            .coloured("empty.png", RED)
            .write("empty.txt", " \r\n");
        folder
            .coloured("other.png", RED)
            .write("other.caption", "mine");
        let report = tag(&folder, &in_mode(mode));
        let found = ["a.txt", "b.txt", "empty.txt", "other.caption"].map(|name| folder.read(name));
        assert_eq!(found, [a, b, empty, other], "{mode:?}");
        assert!(!folder.path("other.txt").exists() && !folder.path(".lora-tag.json").exists());
        let kept = if mode == CaptionMode::Skip { 3 } else { 0 };
        assert_eq!((report.kept, report.written), (kept, 4 - kept), "{mode:?}");

        let again = tag(&folder, &in_mode(mode));
        assert_eq!(folder.read("a.txt"), a, "{mode:?}");
        let unchanged = match mode {
            CaptionMode::Append | CaptionMode::Prepend => 4,
            _ => 0,
        };
        assert_eq!(again.unchanged, unchanged, "{mode:?}");
    }
}

#[test]
fn an_extension_of_its_own_leaves_other_captions_alone() {
    let folder = Folder::new();
    folder.coloured("a.png", RED).write("a.txt", "my dog");
    let config = TagConfig {
        extension: Some(".wd14".to_owned()),
        ..TagConfig::default()
    };
    tag(&folder, &config);
    assert_eq!(
        (folder.read("a.txt"), folder.read("a.wd14")),
        ("my dog".into(), "red\n".into())
    );
}

#[test]
fn broken_pictures_and_captions_are_named_and_the_others_go_on() {
    for (batch, threads) in [(1, 1), (3, 2), (2, 4)] {
        let folder = Folder::new();
        folder.write("a.png", "no picture").write("b.png", "");
        folder.coloured("c.png", RED).write("c.txt", b"fine\n\xff");
        folder.coloured("d.png", RED).coloured("e.png", MEADOW);
        let tagger = ColourTagger::new(batch);
        let config = in_mode(CaptionMode::Append);
        let report = run(&tagger, threads, &config)
            .run(&folder.path(""), |_| ControlFlow::Continue(()))
            .unwrap();
        let problems: Vec<String> = report
            .failed
            .iter()
            .map(|one| folder.relative(&one.problem))
            .collect();
        assert!(
            problems[0].starts_with("a.png: is text, whatever its name says"),
            "{problems:?}"
        );
        assert_eq!(
            problems[1..],
            [
                "b.png: is empty (0 bytes)",
                "c.txt: line 2 is not UTF-8 (byte 6 of the file); save the file as UTF-8"
            ]
        );
        assert_eq!(folder.read("d.txt"), "sks, red\n");
        assert_eq!(folder.read("e.txt"), "sks, blue sky, green grass\n");
        assert_eq!(fs::read(folder.path("c.txt")).unwrap(), b"fine\n\xff");
    }
}

#[test]
fn pictures_come_in_order_whatever_the_threads() {
    let folder = Folder::new();
    for index in 0..40 {
        folder.coloured(&format!("{index:02}.png"), [index * 6, 0, 0]);
    }
    for (batch, threads) in [(1, 1), (1, 7), (3, 4), (64, 2)] {
        let (tagger, config) = (ColourTagger::new(batch), TagConfig::default());
        let mut told = Vec::new();
        let run = TagRun {
            dry_run: true,
            ..run(&tagger, threads, &config)
        };
        run.run(&folder.path(""), |event| {
            if let TagEvent::Tagged(one) = event {
                let probability = one.tags.first().map(|tag| tag.probability);
                told.push((
                    folder.relative(&one.picture.display().to_string()),
                    probability,
                ));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        let expected: Vec<_> = (0_u8..40)
            .map(|index| {
                let probability = f32::from(index * 6) / 255.0;
                (
                    format!("{index:02}.png"),
                    (probability > 0.35).then_some(probability),
                )
            })
            .collect();
        assert_eq!(told, expected, "batches of {batch}, {threads} threads");
    }
    assert_eq!(
        fs::read_dir(folder.path("")).unwrap().count(),
        40,
        "a dry run writes nothing"
    );
}

#[test]
fn a_stopped_run_goes_on_in_every_mode() {
    for mode in [
        CaptionMode::Skip,
        CaptionMode::Overwrite,
        CaptionMode::Append,
    ] {
        let folder = Folder::new();
        for index in 0..10 {
            folder.coloured(&format!("{index}.png"), RED);
        }
        let config = in_mode(mode);
        let tagger = ColourTagger::new(1);
        let mut done = 0;
        let report = run(&tagger, 3, &config)
            .run(&folder.path(""), |event| {
                done += usize::from(matches!(event, TagEvent::Tagged(_)));
                if done == 4 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .unwrap();
        assert_eq!((report.written, report.left), (4, 6), "{mode:?}");
        assert_eq!(folder.read("3.txt"), "sks, red\n");
        assert!(!folder.path("4.txt").exists());

        let tagger = ColourTagger::new(1);
        let report = run(&tagger, 1, &config)
            .run(&folder.path(""), |_| ControlFlow::Continue(()))
            .unwrap();
        assert_eq!(tagger.seen.into_inner(), 6, "{mode:?}");
        assert_eq!((report.written, report.left), (6, 0));
        assert_eq!(report.kept + report.done_before, 4);
        assert!(!folder.path(".lora-tag.json").exists());
    }
}

#[test]
fn other_settings_start_from_the_beginning() {
    let folder = Folder::new();
    for index in 0..4 {
        folder.coloured(&format!("{index}.png"), RED);
    }
    let stop = |event: &TagEvent<'_>| match event {
        TagEvent::Tagged(_) => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    let tagger = ColourTagger::new(1);
    let config = in_mode(CaptionMode::Overwrite);
    run(&tagger, 1, &config)
        .run(&folder.path(""), stop)
        .unwrap();
    assert!(folder.path(".lora-tag.json").exists());
    let report = tag(
        &folder,
        &TagConfig {
            mode: CaptionMode::Overwrite,
            ..TagConfig::default()
        },
    );
    assert_eq!((report.written, report.done_before), (4, 0));
    assert_eq!(folder.read("0.txt"), "red\n");
}

#[test]
fn a_tagger_that_fails_ends_the_run() {
    struct Failing(TagList);
    impl Tagger for Failing {
        fn tags(&self) -> &TagList {
            &self.0
        }
        fn batch(&self) -> usize {
            1
        }
        fn identity(&self) -> String {
            String::new()
        }
        fn input(&self, _: &RgbImage) -> Result<Vec<f32>, TaggerError> {
            Ok(vec![0.0])
        }
        fn probabilities(&self, _: &[f32], _: usize) -> Result<Vec<f32>, TaggerError> {
            Err(TaggerError::Other("out of order".into()))
        }
    }
    let folder = Folder::new();
    for index in 0..20 {
        folder.coloured(&format!("{index}.png"), RED);
    }
    let run = TagRun {
        tagger: &Failing(TagList::parse("t", b"a\n").unwrap()),
        config: &TagConfig::default(),
        threads: NonZeroUsize::new(3).unwrap(),
        dry_run: false,
    };
    let error = run
        .run(&folder.path(""), |_| ControlFlow::Continue(()))
        .unwrap_err();
    assert_eq!(error.to_string(), "out of order");
}

/// The pictures that are tagged and the notes, by names within the folder.
fn found(
    folder: &Folder,
    name: &str,
    recursive: bool,
) -> Result<(Vec<String>, Vec<String>), String> {
    let tagger = ColourTagger::new(1);
    let config = TagConfig {
        recursive,
        ..TagConfig::default()
    };
    let run = TagRun {
        dry_run: true,
        ..run(&tagger, 1, &config)
    };
    let (mut pictures, mut told) = (Vec::new(), Vec::new());
    run.run(&folder.path(name), |event| {
        match event {
            TagEvent::Started { notes, .. } => {
                told.extend(notes.iter().map(|note| folder.relative(note)));
            }
            TagEvent::Tagged(one) => {
                assert_eq!(one.outcome, Outcome::Written);
                pictures.push(folder.relative(&one.picture.display().to_string()));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .map_err(|error| folder.relative(&error.to_string()))?;
    Ok((pictures, told))
}

#[test]
fn folders_are_read_as_training_reads_them() {
    let folder = Folder::new();
    for name in [
        "set/10_dog/b.png",
        "set/10_dog/a.jpg",
        "set/10_dog/a.png",
        "set/2_cat/c.png",
    ] {
        folder.coloured(name, RED);
    }
    folder
        .coloured("set/loose.png", RED)
        .coloured("set/more/deep/d.png", RED);
    let shared = "set/10_dog: passed over, for they share the caption of another picture: a.png";
    let (pictures, notes) = found(&folder, "set", false).unwrap();
    assert_eq!(
        pictures,
        ["set/10_dog/a.jpg", "set/10_dog/b.png", "set/2_cat/c.png"]
    );
    assert_eq!(
        notes,
        [
            "set: read as the parent of: 10_dog, 2_cat",
            "set: pictures beside the N_class folders are left out: loose.png",
            "set: folders in it are not entered: more",
            shared
        ]
    );
    let (pictures, notes) = found(&folder, "set", true).unwrap();
    assert_eq!(
        pictures,
        [
            "set/loose.png",
            "set/10_dog/a.jpg",
            "set/10_dog/b.png",
            "set/2_cat/c.png",
            "set/more/deep/d.png"
        ]
    );
    assert_eq!(notes, [shared]);
    let (pictures, _) = found(&folder, "set/2_cat", false).unwrap();
    assert_eq!(pictures, ["set/2_cat/c.png"]);
    assert_eq!(
        found(&folder, "set/more", false).unwrap_err(),
        "set/more: has no pictures (png, jpg, jpeg, webp, bmp); --recursive enters the folders in it: deep"
    );
    let error = found(&folder, "nowhere", false).unwrap_err();
    assert!(error.starts_with("nowhere: cannot be listed"), "{error}");
}

#[cfg(unix)]
#[test]
fn links_in_a_circle_are_walked_once() {
    let folder = Folder::new();
    folder.coloured("set/a/b.png", RED);
    std::os::unix::fs::symlink(folder.path("set"), folder.path("set/a/again")).unwrap();
    let (pictures, _) = found(&folder, "set", true).unwrap();
    assert_eq!(pictures, ["set/a/b.png"]);
}

#[test]
fn a_caption_that_cannot_be_written_ends_the_run_and_what_is_done_stays_done() {
    let folder = Folder::new();
    folder.coloured("a.png", RED).coloured("b.png", RED);
    folder.coloured("c.png", RED).folder("b.txt/in the way");
    let tagger = ColourTagger::new(1);
    let config = in_mode(CaptionMode::Overwrite);
    let error = run(&tagger, 1, &config)
        .run(&folder.path(""), |_| ControlFlow::Continue(()))
        .unwrap_err();
    let message = folder.relative(&error.to_string());
    assert!(message.starts_with("b.txt: cannot write"), "{message}");
    assert_eq!(folder.read("a.txt"), "sks, red\n");
    assert!(!folder.path("c.txt").exists());

    fs::remove_dir_all(folder.path("b.txt")).unwrap();
    let report = tag(&folder, &config);
    assert_eq!((report.done_before, report.written), (1, 2));
}
