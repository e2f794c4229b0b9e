//! Crops of faces: what is written where, what a second run does, and what is left alone.

use std::{
    collections::BTreeMap,
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use image::{Rgb, RgbImage};
use lora_data::{
    CaptionConfig, Dataset, DatasetConfig, FolderConfig, ImageFolders, Resolution,
    faces::{
        FaceBox, FaceError, FaceFinder, FaceFinderOptions, OnnxFaceFinder,
        face_set::{
            FaceCaption, FaceOutcome, FaceSet, FaceSetError, FaceSetOptions, FaceSetReport,
            PictureOutcome,
        },
    },
};
use tempfile::TempDir;

use crate::{
    face_pictures::{path_of, photograph},
    folder::encoded,
};

/// Finds rectangles of pure red with a number in the green channel, and counts the pictures it saw.
#[derive(Default)]
struct RedFinder {
    seen: AtomicUsize,
    name: &'static str,
}

impl FaceFinder for RedFinder {
    fn find(&self, picture: &RgbImage) -> Result<Vec<FaceBox>, FaceError> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        let mut bounds: BTreeMap<u8, [u32; 4]> = BTreeMap::new();
        for (x, y, Rgb([red, number, blue])) in picture.enumerate_pixels() {
            if (*red, *blue) == (255, 7) {
                let [left, top, right, bottom] = bounds.entry(*number).or_insert([x, y, x, y]);
                *left = x.min(*left);
                *top = y.min(*top);
                *right = x.max(*right);
                *bottom = y.max(*bottom);
            }
        }
        let face = |[left, top, right, bottom]: [u32; 4]| FaceBox {
            left: left as f32,
            top: top as f32,
            width: (right - left + 1) as f32,
            height: (bottom - top + 1) as f32,
            score: 0.9,
            landmarks: None,
        };
        Ok(bounds.into_values().map(face).collect())
    }

    fn fingerprint(&self) -> String {
        self.name.to_owned()
    }
}

/// A picture of 400 × 300 with faces `(left, top, side)`.
fn picture_of(faces: &[(u32, u32, u32)]) -> RgbImage {
    let mut picture =
        RgbImage::from_fn(400, 300, |x, y| Rgb([(x % 200) as u8, (y % 200) as u8, 90]));
    for (number, &(left, top, side)) in faces.iter().enumerate() {
        for y in top..top + side {
            for x in left..left + side {
                picture.put_pixel(x, y, Rgb([255, number as u8, 7]));
            }
        }
    }
    picture
}

struct Place {
    folder: TempDir,
    finder: RedFinder,
    options: FaceSetOptions,
}

impl Place {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            finder: RedFinder::default(),
            options: FaceSetOptions::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    fn picture(&self, name: &str, faces: &[(u32, u32, u32)]) {
        self.write(name, &encoded(&picture_of(faces), image::ImageFormat::Png));
    }

    fn try_run(&self, folder: &str) -> Result<FaceSetReport, FaceSetError> {
        let set = FaceSet::open(&self.path(folder), self.options.clone())?;
        set.write(&self.finder, &mut |_| ControlFlow::Continue(()))
    }

    fn run(&self, folder: &str) -> FaceSetReport {
        self.try_run(folder).unwrap()
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    fn size(&self, name: &str) -> (u32, u32) {
        image::open(self.path(name))
            .unwrap()
            .into_rgb8()
            .dimensions()
    }

    /// All files with their bytes, by their path.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        files_in(self.folder.path())
    }

    /// The paths of all files but records.
    fn names(&self) -> Vec<String> {
        let names = self.files().into_keys();
        names
            .filter(|name| !name.ends_with(".faces.json"))
            .collect()
    }

    fn seen(&self) -> usize {
        self.finder.seen.swap(0, Ordering::Relaxed)
    }
}

fn files_in(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap();
                files.insert(name.to_owned(), fs::read(&path).unwrap());
            }
        }
    }
    files
}

fn outcomes(report: &FaceSetReport) -> Vec<Vec<FaceOutcome>> {
    let faces = report.pictures.iter().map(|picture| &picture.faces);
    faces
        .map(|faces| faces.iter().map(|face| face.outcome).collect())
        .collect()
}

/// A parent with two kohya folders: 3 pictures, of which one has two faces and one none.
fn two_folders() -> Place {
    let place = Place::new();
    place.picture("set/10_sks 人/a.png", &[(40, 40, 70), (200, 100, 90)]);
    place.write(
        "set/10_sks 人/a.txt",
        "sks 人, Full_body, red hat\n".as_bytes(),
    );
    place.picture("set/10_sks 人/b.png", &[]);
    place.write("set/10_sks 人/b.txt", b"sks, nobody");
    place.picture("set/5_cat/c c.png", &[(150, 100, 80)]);
    place
}

#[test]
fn crops_go_beside_their_pictures_with_repeats_and_captions_and_pictures_stay() {
    let place = two_folders();
    let before = place.files();
    let report = place.run("set");
    let after = place.files();
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes));
    let new: Vec<String> = place
        .names()
        .into_iter()
        .filter(|name| !before.contains_key(name))
        .collect();
    assert_eq!(
        new,
        [
            "set/10_sks 人_face/a_face1.png",
            "set/10_sks 人_face/a_face1.txt",
            "set/10_sks 人_face/a_face2.png",
            "set/10_sks 人_face/a_face2.txt",
            "set/5_cat_face/c c_face1.png",
            "set/5_cat_face/c c_face1.txt",
        ]
    );
    // The largest face first; the margin is half a face on every side.
    assert_eq!(place.size("set/10_sks 人_face/a_face1.png"), (180, 180));
    assert_eq!(place.size("set/10_sks 人_face/a_face2.png"), (140, 140));
    assert_eq!(
        place.text("set/10_sks 人_face/a_face1.txt"),
        "sks 人, red hat, close-up\n"
    );
    assert_eq!(
        place.text("set/5_cat_face/c c_face1.txt"),
        "cat, close-up\n"
    );
    // The middle of the crop is the middle of the face, unscaled.
    let crop = image::open(place.path("set/5_cat_face/c c_face1.png"))
        .unwrap()
        .into_rgb8();
    let whole = picture_of(&[(150, 100, 80)]);
    assert_eq!(
        crop,
        image::imageops::crop_imm(&whole, 110, 60, 160, 160).to_image()
    );

    let written = FaceOutcome::Written;
    assert_eq!(
        outcomes(&report),
        [vec![written, written], vec![], vec![written]]
    );
    let folders: Vec<(u32, usize)> = report
        .folders
        .iter()
        .map(|one| (one.repeats, one.crops))
        .collect();
    assert_eq!(folders, [(10, 2), (5, 1)]);
    assert!(!report.stopped);
}

#[test]
fn a_dataset_over_the_parent_shows_the_crops_with_their_repeats() {
    let place = two_folders();
    place.run("set");
    let opened = ImageFolders::open(&DatasetConfig {
        folders: vec![FolderConfig::new(place.path("set"))],
        resolution: Resolution::square(64),
        caption: CaptionConfig::default(),
        ..DatasetConfig::default()
    });
    let opened = opened.unwrap();
    let told: Vec<(&str, u32, &str)> = opened
        .entries()
        .iter()
        .map(|entry| (entry.folder.as_str(), entry.repeats, entry.caption.as_str()))
        .filter(|entry| entry.0.ends_with("_face"))
        .collect();
    assert_eq!(
        told,
        [
            ("10_sks 人_face", 10, "sks 人, red hat, close-up"),
            ("10_sks 人_face", 10, "sks 人, red hat, close-up"),
            ("5_cat_face", 5, "cat, close-up"),
        ]
    );
}

#[test]
fn a_second_run_looks_at_nothing_and_changes_nothing() {
    let place = two_folders();
    place.run("set");
    assert_eq!(place.seen(), 3);
    let before = place.files();
    let report = place.run("set");
    assert_eq!(place.seen(), 0);
    assert_eq!(place.files(), before);
    assert!(
        report
            .pictures
            .iter()
            .all(|one| one.outcome == PictureOutcome::Unchanged)
    );
    let kept = FaceOutcome::Kept;
    assert_eq!(outcomes(&report), [vec![kept, kept], vec![], vec![kept]]);
    // Crops are no pictures to search, though they lie in the same parent.
    assert_eq!(report.pictures.len(), 3);
    let set = FaceSet::open(&place.path("set"), place.options.clone()).unwrap();
    assert!(
        set.notes()
            .iter()
            .any(|note| note.contains("10_sks 人_face: passed over")),
        "{:?}",
        set.notes()
    );
}

#[test]
fn only_a_changed_picture_is_cut_again_and_what_it_no_longer_gives_is_removed() {
    let place = two_folders();
    place.run("set");
    place.seen();
    place.picture("set/10_sks 人/a.png", &[(100, 100, 100)]);
    let report = place.run("set");
    assert_eq!(place.seen(), 1);
    assert_eq!(place.size("set/10_sks 人_face/a_face1.png"), (200, 200));
    assert!(!place.path("set/10_sks 人_face/a_face2.png").exists());
    assert!(!place.path("set/10_sks 人_face/a_face2.txt").exists());
    assert_eq!(report.pictures[0].removed.len(), 2);
    assert!(place.path("set/5_cat_face/c c_face1.png").exists());
}

#[test]
fn a_changed_caption_option_and_detector_each_count_as_a_change() {
    let mut place = two_folders();
    place.run("set");
    place.seen();
    place.write("set/10_sks 人/a.txt", b"sks, blue hat");
    place.run("set");
    assert_eq!(place.seen(), 1);
    assert_eq!(
        place.text("set/10_sks 人_face/a_face2.txt"),
        "sks, blue hat, close-up\n"
    );
    place.options.margin = 0.25;
    place.run("set");
    assert_eq!(place.seen(), 3);
    assert_eq!(place.size("set/10_sks 人_face/a_face1.png"), (135, 135));
    place.finder.name = "another";
    place.run("set");
    assert_eq!(place.seen(), 3);
}

#[test]
fn what_was_changed_or_removed_by_hand_stays_so_until_forced() {
    let mut place = two_folders();
    place.run("set");
    place.write("set/10_sks 人_face/a_face1.txt", b"my own words");
    fs::remove_file(place.path("set/10_sks 人_face/a_face2.png")).unwrap();
    let report = place.run("set");
    assert_eq!(
        outcomes(&report)[0],
        [FaceOutcome::Kept, FaceOutcome::RemovedByHand]
    );
    assert!(!place.path("set/10_sks 人_face/a_face2.png").exists());

    place.write("set/10_sks 人/a.txt", b"other words");
    let report = place.run("set");
    assert_eq!(place.text("set/10_sks 人_face/a_face1.txt"), "my own words");
    assert_eq!(
        report.pictures[0].left,
        [place.path("set/10_sks 人_face/a_face1.txt")]
    );

    place.options.force = true;
    place.run("set");
    assert_eq!(
        place.text("set/10_sks 人_face/a_face1.txt"),
        "other words, close-up\n"
    );
    assert!(place.path("set/10_sks 人_face/a_face2.png").exists());
}

#[test]
fn crops_that_a_killed_run_did_not_record_are_taken_over() {
    let place = two_folders();
    place.run("set");
    let before = place.files();
    fs::remove_file(place.path("set/5_cat_face/.faces.json")).unwrap();
    let report = place.run("set");
    assert_eq!(outcomes(&report)[2], [FaceOutcome::Kept]);
    // Only the outcome in the record tells that it was found and not written.
    assert!(place.files().keys().eq(before.keys()));
    place.picture("set/5_cat/c c.png", &[(10, 10, 90)]);
    assert_eq!(outcomes(&place.run("set"))[2], [FaceOutcome::Written]);
}

#[test]
fn a_file_that_is_not_ours_is_left_and_told_and_no_longer_in_the_way_when_gone() {
    let place = two_folders();
    place.write("set/5_cat_face/c c_face1.png", b"somebody's");
    let report = place.run("set");
    assert_eq!(outcomes(&report)[2], [FaceOutcome::InTheWay]);
    assert_eq!(place.text("set/5_cat_face/c c_face1.png"), "somebody's");
    fs::remove_file(place.path("set/5_cat_face/c c_face1.png")).unwrap();
    let report = place.run("set");
    assert_eq!(outcomes(&report)[2], [FaceOutcome::Written]);
}

#[test]
fn small_faces_faces_beyond_the_number_and_pictures_that_are_faces_are_left_out_and_told() {
    use FaceOutcome::{BeyondMost, FillsPicture, TooSmall, Written};
    let mut place = Place::new();
    place.picture(
        "x/many.png",
        &[(0, 0, 63), (100, 0, 64), (200, 0, 80), (300, 0, 70)],
    );
    place.picture("x/portrait.png", &[(60, 10, 280)]);
    place.options.most = Some(2);
    place.options.max_share = 0.7;
    let report = place.run("x");
    assert_eq!(
        outcomes(&report),
        [
            vec![Written, Written, BeyondMost, TooSmall],
            vec![FillsPicture]
        ]
    );
    assert_eq!(
        place.names(),
        [
            "1_x_face/many_face1.png",
            "1_x_face/many_face1.txt",
            "1_x_face/many_face2.png",
            "1_x_face/many_face2.txt",
            "x/many.png",
            "x/portrait.png"
        ]
    );
}

#[test]
fn crops_are_scaled_down_to_a_size_and_up_only_when_told_to() {
    let mut place = Place::new();
    place.picture("x/a.png", &[(50, 50, 100), (300, 200, 64)]);
    place.options.size = Some(Resolution::square(160));
    let report = place.run("x");
    assert_eq!(report.pictures[0].faces[0].size, Some((160, 160)));
    assert_eq!(place.size("1_x_face/a_face1.png"), (160, 160));
    assert_eq!(place.size("1_x_face/a_face2.png"), (128, 128));
    place.options.enlarge = true;
    place.run("x");
    assert_eq!(place.size("1_x_face/a_face2.png"), (160, 160));
    place.options = FaceSetOptions {
        aspect: Resolution {
            width: 2,
            height: 3,
        },
        ..FaceSetOptions::default()
    };
    place.run("x");
    assert_eq!(place.size("1_x_face/a_face1.png"), (200, 300));
    assert_eq!(place.size("1_x_face/a_face2.png"), (128, 192));
}

#[test]
fn broken_pictures_and_captions_are_told_and_the_others_are_done() {
    let place = Place::new();
    let whole = encoded(&picture_of(&[]), image::ImageFormat::Png);
    place.write("2_x/broken.png", &whole[..whole.len() / 2]);
    place.picture("2_x/caption.png", &[(50, 50, 80)]);
    place.write("2_x/caption.txt", b"good\nb\xffd");
    place.picture("2_x/good.png", &[(50, 50, 80)]);
    let report = place.run("2_x");
    let reasons: Vec<&str> = report
        .pictures
        .iter()
        .filter_map(|picture| match &picture.outcome {
            PictureOutcome::Failed(reason) => Some(reason.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(reasons.len(), 2, "{reasons:?}");
    assert!(reasons[0].contains("broken.png"), "{reasons:?}");
    assert!(
        reasons[1].contains("caption.txt: line 2 is not UTF-8"),
        "{reasons:?}"
    );
    assert_eq!(report.folders[0].crops, 1);
    assert!(place.path("2_x_face/good_face1.png").exists());
}

#[test]
fn pictures_without_faces_leave_no_folder() {
    let place = Place::new();
    place.picture("x/a.png", &[]);
    let report = place.run("x");
    assert_eq!(outcomes(&report), [vec![]]);
    assert_eq!(place.files().into_keys().collect::<Vec<_>>(), ["x/a.png"]);
    // Also when the last crop goes.
    place.picture("x/a.png", &[(50, 50, 80)]);
    place.run("x");
    assert!(place.path("1_x_face/a_face1.png").exists());
    place.picture("x/a.png", &[]);
    place.run("x");
    assert!(!place.path("1_x_face").exists());
}

#[test]
fn a_dry_run_tells_the_same_and_writes_nothing() {
    let mut place = two_folders();
    let before = place.files();
    place.options.dry_run = true;
    let dry = place.run("set");
    assert_eq!(place.files(), before);
    assert!(!place.path("set/5_cat_face").exists());
    place.options.dry_run = false;
    assert_eq!(place.run("set"), dry);
}

#[test]
fn a_stopped_run_goes_on_to_the_same_files() {
    let place = Place::new();
    let whole = Place::new();
    for (number, place) in (0..12).flat_map(|number| [(number, &place), (number, &whole)]) {
        place.picture(&format!("3_x/{number}.png"), &[(10 * number, 50, 80)]);
    }
    whole.run("3_x");
    let set = FaceSet::open(&place.path("3_x"), place.options.clone()).unwrap();
    let mut told = Vec::new();
    let report = set
        .write(&place.finder, &mut |progress| {
            told.push((progress.done, progress.total));
            if progress.done == 3 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .unwrap();
    assert!(report.stopped);
    assert_eq!(told[..3], [(1, 12), (2, 12), (3, 12)]);
    // Those that had begun are finished: at most one for each thread.
    assert!(report.pictures.len() < 12, "{}", report.pictures.len());
    let begun = place.seen();
    assert_eq!(report.pictures.len(), begun);
    assert!(!place.run("3_x").stopped);
    assert_eq!(place.seen(), 12 - begun);
    assert_eq!(place.files(), whole.files());
}

#[test]
fn repeats_and_place_can_be_chosen_and_a_renamed_folder_is_found_again() {
    let mut place = two_folders();
    place.options.repeats = Some(40);
    place.options.out = Some(place.path("faces here"));
    place.run("set/5_cat");
    let crop = "faces here/40_cat_face/c c_face1.png";
    assert!(place.path(crop).exists());
    // Renaming changes the repeats; the next run goes on in the renamed folder.
    fs::rename(
        place.path("faces here/40_cat_face"),
        place.path("faces here/7_cat_face"),
    )
    .unwrap();
    place.options.repeats = None;
    let report = place.run("set/5_cat");
    assert_eq!(report.folders[0].path, place.path("faces here/7_cat_face"));
    assert_eq!(outcomes(&report), [[FaceOutcome::Kept]]);
    // Other repeats would show every crop twice.
    place.options.repeats = Some(9);
    let error = place.try_run("set/5_cat").unwrap_err();
    assert!(
        matches!(error, FaceSetError::OtherRepeats { .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("7_cat_face holds crops"),
        "{error}"
    );
}

#[test]
fn crops_of_pictures_that_share_a_stem_do_not_share_a_name() {
    let place = Place::new();
    place.picture("1_x/a.png", &[(50, 50, 80)]);
    place.picture("1_x/A.bmp", &[(50, 50, 90)]);
    place.write("1_x/a.caption", b"one");
    place.run("1_x");
    let crops: Vec<String> = place
        .names()
        .into_iter()
        .filter(|name| name.starts_with("1_x_face"))
        .collect();
    assert_eq!(
        crops,
        [
            "1_x_face/A_bmp_face1.png",
            "1_x_face/A_bmp_face1.txt",
            "1_x_face/a_png_face1.caption",
            "1_x_face/a_png_face1.png"
        ]
    );
}

#[test]
fn two_folders_whose_crops_would_mix_are_refused() {
    let mut place = Place::new();
    place.picture("set/3_cat/a.png", &[]);
    place.picture("set/4_cat/a.png", &[]);
    place.options.repeats = Some(5);
    let error = place.try_run("set").unwrap_err();
    assert!(matches!(error, FaceSetError::SameFolder { .. }), "{error}");
}

#[test]
fn options_that_cannot_be_are_refused_by_name() {
    let mut place = two_folders();
    let good = place.options.clone();
    for (options, words) in [
        (
            FaceSetOptions {
                margin: -1.0,
                ..good.clone()
            },
            "margin is -1",
        ),
        (
            FaceSetOptions {
                margin: f32::NAN,
                ..good.clone()
            },
            "margin is NaN",
        ),
        (
            FaceSetOptions {
                max_share: 2.0,
                ..good.clone()
            },
            "max share is 2",
        ),
        (
            FaceSetOptions {
                repeats: Some(0),
                ..good.clone()
            },
            "repeats is 0",
        ),
        (
            FaceSetOptions {
                size: Some(Resolution::square(0)),
                ..good.clone()
            },
            "size is 0×0",
        ),
    ] {
        place.options = options;
        let error = place.try_run("set").unwrap_err().to_string();
        assert!(error.starts_with(words), "{error}");
    }
}

#[test]
fn a_folder_of_crops_alone_and_a_broken_record_are_refused_in_words() {
    let place = two_folders();
    place.run("set");
    let error = place.try_run("set/5_cat_face").unwrap_err();
    assert!(matches!(error, FaceSetError::OnlyFaces { .. }), "{error}");
    place.write("set/5_cat_face/.faces.json", b"{");
    let error = place.try_run("set").unwrap_err();
    assert!(matches!(error, FaceSetError::Record { .. }), "{error}");
}

#[test]
fn crops_whose_picture_is_gone_are_told() {
    let place = two_folders();
    place.run("set");
    fs::remove_file(place.path("set/10_sks 人/a.png")).unwrap();
    let report = place.run("set");
    let crops = [
        "set/10_sks 人_face/a_face1.png",
        "set/10_sks 人_face/a_face2.png",
    ];
    assert_eq!(report.orphans, crops.map(|name| place.path(name)));
    assert!(place.path(crops[0]).exists());
}

#[test]
fn a_failing_write_is_an_error_that_names_the_file() {
    let mut place = two_folders();
    place.write("a file", b"");
    place.options.out = Some(place.path("a file"));
    let error = place.try_run("set").unwrap_err();
    assert!(error.to_string().contains("a file"), "{error}");
}

#[test]
fn captions_are_derived_as_told_and_keep_their_lines() {
    let mut place = Place::new();
    place.picture("4_/a.png", &[(50, 50, 80)]);
    place.picture("4_/b.png", &[(50, 50, 80)]);
    place.write("4_/b.caption", b"x, boots\r\ny, boots\r\n");
    place.options.caption = FaceCaption {
        prefix: "portrait of ".to_owned(),
        add: Vec::new(),
        remove: vec!["boots".to_owned()],
    };
    place.run("4_");
    assert_eq!(place.text("4_face/a_face1.txt"), "portrait of\n");
    assert_eq!(
        place.text("4_face/b_face1.caption"),
        "portrait of x\nportrait of y\n"
    );
}

#[test]
fn a_photograph_that_lies_on_its_side_is_turned_as_its_exif_data_says() {
    let place = Place::new();
    // The pixels lie on their side; orientation 6 says: turn them clockwise to see them.
    let lying = image::imageops::rotate270(&photograph("astronaut.png"));
    let jpeg = encoded(&lying, image::ImageFormat::Jpeg);
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
    exif.extend(b"\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0");
    let mut turned = jpeg[..2].to_vec();
    turned.extend([0xff, 0xe1]);
    turned.extend((exif.len() as u16 + 2).to_be_bytes());
    turned.extend(exif);
    turned.extend(&jpeg[2..]);
    place.write("1_astronaut/lying.jpg", &turned);
    fs::copy(path_of("coffee.png"), place.path("1_astronaut/coffee.png")).unwrap();
    let options = FaceSetOptions {
        min_size: 32,
        ..FaceSetOptions::default()
    };
    let set = FaceSet::open(&place.path("1_astronaut"), options).unwrap();
    let finder = OnnxFaceFinder::yunet(FaceFinderOptions::default()).unwrap();
    let report = set
        .write(&finder, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert_eq!(outcomes(&report), [vec![], vec![FaceOutcome::Written]]);
    let (x, y) = report.pictures[1].faces[0].face.center();
    assert!(
        (x - 112.0).abs() < 6.0 && (y - 61.0).abs() < 6.0,
        "{x}, {y}"
    );
    let crop = image::open(place.path("1_astronaut_face/lying_face1.png"))
        .unwrap()
        .into_rgb8();
    let faces = finder.find(&crop).unwrap();
    assert_eq!(faces.len(), 1);
    // The face fills half of its crop, in the middle.
    let (width, height) = crop.dimensions();
    let (x, y) = faces[0].center();
    assert!((x / width as f32 - 0.5).abs() < 0.1 && (y / height as f32 - 0.5).abs() < 0.1);
}

#[cfg(unix)]
#[test]
fn pictures_may_lie_in_a_folder_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let mut place = two_folders();
    let folder = place.path("set/5_cat");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    place.options.out = Some(place.path("out"));
    let report = place.run("set/5_cat");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(report.folders[0].path, place.path("out/5_cat_face"));
    assert!(place.path("out/5_cat_face/c c_face1.png").exists());
}
