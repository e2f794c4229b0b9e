//! Preparing pictures: copies, blurred and broken ones.

use image::{DynamicImage, RgbImage, codecs::jpeg::JpegEncoder, imageops};
use lora_data::prepare::{DuplicatePolicy, SkipReason};

use crate::{
    face_pictures::{halved, path_of, photograph},
    folder::encoded,
    prepare_folder::{Place, is_written, of, problem, skipped, varied},
};

fn jpeg(picture: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    DynamicImage::from(picture.clone())
        .write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, quality))
        .unwrap();
    bytes
}

/// Three photographs, and four copies of the first.
fn copies() -> Place {
    let place = Place::squares(64);
    let astronaut = photograph("astronaut.png");
    let bytes = std::fs::read(path_of("astronaut.png")).unwrap();
    place
        .write("in/1_a/original.png", &bytes)
        .write("in/1_a/same.png", &bytes)
        .picture("in/2_b/halved.png", &halved(&astronaut))
        .write("in/2_b/saved.jpg", jpeg(&astronaut, 40))
        .picture("in/2_b/brighter.png", &imageops::brighten(&astronaut, 20))
        .picture("in/2_b/chelsea.png", &photograph("chelsea.png"))
        .picture("in/2_b/coffee.png", &photograph("coffee.png"));
    place
}

#[test]
fn copies_are_found_whether_they_were_resized_or_saved_anew_and_others_are_not() {
    let mut place = copies();
    let report = place.run();
    let [group] = report.duplicates.as_slice() else {
        panic!("{:?}", report.duplicates);
    };
    // All of one size: which is the sharpest of the three full ones is not for the test to say.
    assert!(
        [
            "1_a/original.png",
            "1_a/same.png",
            "2_b/brighter.png",
            "2_b/saved.jpg"
        ]
        .contains(&group.kept.as_str())
    );
    let mut all: Vec<&str> = group
        .copies
        .iter()
        .map(|copy| copy.picture.as_str())
        .collect();
    all.push(&group.kept);
    all.sort_unstable();
    assert_eq!(
        all,
        [
            "1_a/original.png",
            "1_a/same.png",
            "2_b/brighter.png",
            "2_b/halved.png",
            "2_b/saved.jpg"
        ]
    );
    // Told, and all of them made.
    assert_eq!(place.made().len(), 7);
    place.options.near = 0;
    let exact = place.run();
    let same = exact.duplicates.iter().flat_map(|group| &group.copies);
    assert_eq!(same.filter(|copy| copy.same_bytes).count(), 1);
}

#[test]
fn of_copies_the_one_with_the_most_pixels_is_kept() {
    let mut place = copies();
    let large = imageops::resize(
        &photograph("astronaut.png"),
        300,
        300,
        imageops::FilterType::Triangle,
    );
    place.picture("in/2_b/large.png", &large);
    place.options.duplicates = DuplicatePolicy::Skip;
    let report = place.run();
    assert_eq!(report.duplicates[0].kept, "2_b/large.png");
    assert_eq!(report.duplicates[0].copies.len(), 5);
    for copy in [
        "1_a/original.png",
        "1_a/same.png",
        "2_b/halved.png",
        "2_b/saved.jpg",
    ] {
        assert_eq!(
            skipped(&report, copy),
            &SkipReason::Duplicate("2_b/large.png".to_owned())
        );
    }
    assert_eq!(
        place.made(),
        ["2_b/chelsea.png", "2_b/coffee.png", "2_b/large.png"]
    );
}

#[test]
fn blurred_pictures_are_told_with_their_sharpness_and_left_out_if_asked() {
    let sharp = photograph("coffee.png");
    let mut place = Place::squares(64);
    place
        .picture("in/sharp.png", &sharp)
        .picture("in/blurred.png", &imageops::blur(&sharp, 3.0));
    let report = place.run();
    let sharpness = |name| of(&report, name).survey.as_ref().unwrap().sharpness;
    assert!(sharpness("sharp.png") > 500 && sharpness("blurred.png") < 50);
    assert!(of(&report, "blurred.png").blurred && !of(&report, "sharp.png").blurred);
    assert_eq!(place.made(), ["blurred.png", "sharp.png"]);
    place.options.skip_blurred = true;
    let report = place.run();
    assert_eq!(skipped(&report, "blurred.png"), &SkipReason::Blurred);
    assert_eq!(place.made(), ["sharp.png"]);
    place.options.blur = 0;
    assert!(is_written(&place.run(), "blurred.png"));
}

#[test]
fn broken_pictures_are_named_and_the_others_done() {
    let place = Place::squares(32);
    let whole = encoded(&varied(64, 64), image::ImageFormat::Png);
    let mut bomb = whole.clone();
    bomb[16..24].copy_from_slice(&[0, 0, 0xea, 0x60, 0, 0, 0xea, 0x60]);
    place
        .write("in/a cut.png", &whole[..whole.len() / 2])
        .write("in/bomb.png", bomb)
        .write("in/empty.png", "")
        .write("in/text.jpg", "not a picture")
        .write("in/whole.png", whole);
    let report = place.run();
    for (name, told) in [
        ("a cut.png", "is cut short"),
        ("bomb.png", "60000 × 60000"),
        ("empty.png", "is empty"),
        ("text.jpg", "is text"),
    ] {
        let problem = problem(&report, name);
        assert!(
            problem.contains(name) && problem.contains(told),
            "{problem}"
        );
    }
    assert!(is_written(&report, "whole.png"));
    assert_eq!(place.made(), ["whole.png"]);
}
