//! Faces in photographs: where OpenCV finds them, in which turns and sizes, and none where there are none.

use std::{collections::BTreeMap, fs};

use image::{RgbImage, imageops};
use lora_data::faces::{FaceBox, FaceError, FaceFinder, FaceFinderOptions, OnnxFaceFinder};

use crate::{
    face_pictures::{group, halved, path_of, photograph},
    onnx_model_builder::{Attribute, OnnxModelBuilder},
};

#[derive(serde::Deserialize)]
struct OpenCv {
    score: f32,
    overlap: f32,
    faces: BTreeMap<String, Vec<[f32; 15]>>,
}

fn yunet() -> OnnxFaceFinder {
    OnnxFaceFinder::yunet(FaceFinderOptions::default()).unwrap()
}

/// Whether the middle of a box lies within `near` pixels of `(x, y)`.
fn is_at(face: &FaceBox, x: f32, y: f32, near: f32) -> bool {
    let (across, down) = face.center();
    (across - x).abs() <= near && (down - y).abs() <= near
}

/// The middle of the face in astronaut.png, as OpenCV finds it.
const FACE: (f32, f32) = (112.0, 60.0);

#[test]
fn boxes_landmarks_and_scores_are_opencvs() {
    let text = fs::read_to_string(path_of("opencv_faces.json")).unwrap();
    let expected: OpenCv = serde_json::from_str(&text).unwrap();
    let astronaut = photograph("astronaut.png");
    let pictures = BTreeMap::from([
        ("astronaut", astronaut.clone()),
        ("astronaut turned clockwise", imageops::rotate90(&astronaut)),
        ("astronaut upside down", imageops::rotate180(&astronaut)),
        (
            "astronaut turned anticlockwise",
            imageops::rotate270(&astronaut),
        ),
        ("astronaut mirrored", imageops::flip_horizontal(&astronaut)),
        ("astronaut halved", halved(&astronaut)),
        ("group", group(&astronaut)),
        ("coffee", photograph("coffee.png")),
        ("chelsea", photograph("chelsea.png")),
    ]);
    assert!(pictures.keys().eq(expected.faces.keys()));
    let finder = OnnxFaceFinder::yunet(FaceFinderOptions {
        sides: vec![640],
        score: expected.score,
        overlap: expected.overlap,
        most: 5000,
    })
    .unwrap();
    let mut compared = 0;
    for (name, picture) in pictures {
        let found = finder.find(&picture).unwrap();
        let expected = &expected.faces[name];
        assert_eq!(found.len(), expected.len(), "{name}: {found:?}");
        for (face, expected) in found.iter().zip(expected) {
            let points = face.landmarks.unwrap().map(|(x, y)| [x, y]);
            let bounds = [face.left, face.top, face.width, face.height];
            let numbers = bounds.iter().chain(points.as_flattened());
            // The arithmetic is the same, only sums in the convolutions are taken in another order. Measured: below 0.0001
            // pixels, most of which is the file's rounding to 0.0001; other processors sum in yet other orders.
            for (number, expected) in numbers.zip(expected) {
                assert!(
                    (number - expected).abs() < 0.001,
                    "{name}: {face:?} is not {expected:?}"
                );
            }
            assert!((face.score - expected[14]).abs() < 1e-4, "{name}: {face:?}");
            compared += 1;
        }
    }
    assert!(compared >= 9, "{compared}");
}

#[test]
fn one_face_is_found_also_in_a_mirror() {
    let (finder, picture) = (yunet(), photograph("astronaut.png"));
    for (seen, x) in [
        (picture.clone(), FACE.0),
        (imageops::flip_horizontal(&picture), 256.0 - FACE.0),
    ] {
        let faces = finder.find(&seen).unwrap();
        assert_eq!(faces.len(), 1, "{faces:?}");
        assert!(is_at(&faces[0], x, FACE.1, 6.0), "{faces:?}");
    }
}

#[test]
fn landmarks_lie_where_they_belong_on_a_face() {
    let faces = yunet().find(&photograph("astronaut.png")).unwrap();
    let [right_eye, left_eye, nose, right_mouth, left_mouth] = faces[0].landmarks.unwrap();
    // The person's right is the picture's left.
    assert!(right_eye.0 < nose.0 && nose.0 < left_eye.0);
    assert!(right_mouth.0 < left_mouth.0);
    assert!(right_eye.1 < nose.1 && nose.1 < left_mouth.1);
}

#[test]
fn all_of_a_group_are_found_at_their_places() {
    let faces = yunet().find(&group(&photograph("astronaut.png"))).unwrap();
    assert_eq!(faces.len(), 4, "{faces:?}");
    for (left, top, scale) in [
        (10.0, 20.0, 1.0),
        (280.0, 30.0, 0.5),
        (350.0, 165.0, 0.5),
        (420.0, 40.0, 0.25),
    ] {
        let (x, y) = (left + FACE.0 * scale, top + FACE.1 * scale);
        assert!(
            faces.iter().any(|face| is_at(face, x, y, 6.0)),
            "none at {x}, {y}: {faces:?}"
        );
    }
}

#[test]
fn there_are_no_faces_in_a_cup_a_cat_and_flat_colours() {
    let finder = yunet();
    for picture in [
        photograph("coffee.png"),
        photograph("chelsea.png"),
        RgbImage::new(100, 100),
        RgbImage::from_pixel(33, 1, image::Rgb([255; 3])),
        RgbImage::new(0, 0),
    ] {
        assert_eq!(finder.find(&picture).unwrap(), []);
    }
}

#[test]
fn a_large_picture_and_a_face_that_fills_it_are_found_at_a_smaller_side() {
    let picture = photograph("astronaut.png");
    let enlarged = |picture: &RgbImage, width, height| {
        imageops::resize(picture, width, height, imageops::FilterType::Triangle)
    };
    let large = enlarged(&picture, 2000, 2000);
    let faces = yunet().find(&large).unwrap();
    let scale = 2000.0 / 256.0;
    assert_eq!(faces.len(), 1, "{faces:?}");
    assert!(
        is_at(&faces[0], FACE.0 * scale, FACE.1 * scale, 40.0),
        "{faces:?}"
    );

    let close = imageops::crop_imm(&picture, 88, 30, 48, 60).to_image();
    let close = enlarged(&close, 1024, 1280);
    let at = |sides| {
        let options = FaceFinderOptions {
            sides,
            ..FaceFinderOptions::default()
        };
        OnnxFaceFinder::yunet(options)
            .unwrap()
            .find(&close)
            .unwrap()
    };
    assert!(
        at(vec![1280]).iter().all(|face| face.score < 0.9),
        "{:?}",
        at(vec![1280])
    );
    let faces = at(FaceFinderOptions::default().sides);
    assert_eq!(faces.len(), 1, "{faces:?}");
    assert!(
        faces[0].score > 0.9 && is_at(&faces[0], 512.0, 640.0, 130.0),
        "{faces:?}"
    );
}

#[test]
fn options_that_cannot_be_are_refused_by_name() {
    let good = FaceFinderOptions::default();
    for (options, name) in [
        (
            FaceFinderOptions {
                score: 1.5,
                ..good.clone()
            },
            "score is 1.5",
        ),
        (
            FaceFinderOptions {
                score: f32::NAN,
                ..good.clone()
            },
            "score is NaN",
        ),
        (
            FaceFinderOptions {
                overlap: -0.1,
                ..good.clone()
            },
            "overlap is -0.1",
        ),
        (
            FaceFinderOptions {
                sides: vec![],
                ..good.clone()
            },
            "sides is []",
        ),
        (
            FaceFinderOptions {
                sides: vec![640, 9],
                ..good.clone()
            },
            "sides is [640, 9]",
        ),
    ] {
        let error = OnnxFaceFinder::yunet(options).unwrap_err().to_string();
        assert!(error.starts_with(name), "{error}");
    }
}

/// A model of 64 × 64 pixels, as YOLOv8's in shape, whose one box is at (32, 16), 20 × 10 pixels in size, with the
/// picture's mean red, in 0 to 1, as its score.
fn yolo_of_red() -> OnnxModelBuilder {
    let cells = 64 + 16 + 4;
    let mut bounds = vec![0.0; 4 * cells];
    for (row, number) in [32.0, 16.0, 20.0, 10.0].into_iter().enumerate() {
        bounds[row * cells + 11] = number;
    }
    let mut only = vec![0.0; cells];
    only[11] = 1.0;
    OnnxModelBuilder::default()
        .input("images", &[-1, 3, 64, 64])
        .weight("red", &[1, 3, 1, 1], &[1.0, 0.0, 0.0])
        .weight("bounds", &[1, 4, cells as i64], &bounds)
        .weight("only", &[1, 1, cells as i64], &only)
        .node("GlobalAveragePool", &["images"], "means", &[])
        .node("Conv", &["means", "red"], "mean", &[])
        .node("Squeeze", &["mean", "last"], "score", &[])
        .indices("last", &[3])
        .node("Mul", &["score", "only"], "scores", &[])
        .node(
            "Concat",
            &["bounds", "scores"],
            "output0",
            &[("axis", Attribute::Int(1))],
        )
        .output("output0", &[-1, 5, cells as i64])
}

#[test]
fn a_yolo_model_sees_red_first_from_0_to_1_in_a_letterbox_and_its_boxes_are_scaled_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("臉 detector.onnx");
    yolo_of_red().write(&path);
    let options = FaceFinderOptions {
        score: 0.1,
        ..FaceFinderOptions::default()
    };
    let finder = OnnxFaceFinder::load(&path, options).unwrap();
    // 128 × 64 becomes 64 × 32 in the middle of 64 × 64, between bars of 114 grey.
    let faces = finder
        .find(&RgbImage::from_pixel(128, 64, image::Rgb([204, 0, 0])))
        .unwrap();
    assert_eq!(faces.len(), 1);
    let face = faces[0];
    let mean = f32::midpoint(0.8, 114.0 / 255.0);
    assert!((face.score - mean).abs() < 1e-4, "{face:?}");
    // On the canvas left 22, top 11; twice that after taking 16 rows of grey off.
    let bounds = vec![face.left, face.top, face.width, face.height];
    assert_eq!(bounds, [44.0, -10.0, 40.0, 20.0]);
    assert_eq!(face.landmarks, None);
}

#[test]
fn models_that_are_no_face_detectors_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let load = |model: OnnxModelBuilder| {
        let path = folder.path().join("model.onnx");
        model.write(&path);
        OnnxFaceFinder::load(&path, FaceFinderOptions::default()).unwrap_err()
    };
    let plain = |shape: &[i64]| {
        OnnxModelBuilder::default()
            .input("x", shape)
            .node("Relu", &["x"], "y", &[])
            .output("y", shape)
    };
    for (model, words) in [
        (
            plain(&[1, 448, 448, 3]),
            "its input \"x\" is not a picture [1, 3, height, width]",
        ),
        (
            plain(&[1, 3, 64, 64]),
            "of shape [1, 3, 64, 64] is none that a YOLO model of 64 × 64",
        ),
        (
            plain(&[1, 3, 64, 64])
                .node("Neg", &["y"], "z", &[])
                .output("z", &[1, 3, 64, 64]),
            "its outputs (y, z) are neither",
        ),
    ] {
        let error = load(model);
        assert!(matches!(error, FaceError::Layout { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("model.onnx: is no face detector") && text.contains(words),
            "{text}"
        );
    }
    let missing = folder.path().join("none.onnx");
    let error = OnnxFaceFinder::load(&missing, FaceFinderOptions::default()).unwrap_err();
    assert!(matches!(error, FaceError::Onnx(_)), "{error}");
}

#[test]
fn a_copy_of_yunet_by_path_finds_what_the_one_that_comes_along_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("yunet.onnx");
    let carried = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/assets/face_detection_yunet_2023mar.onnx"
    );
    fs::copy(carried, &path).unwrap();
    let loaded = OnnxFaceFinder::load(&path, FaceFinderOptions::default()).unwrap();
    let picture = photograph("astronaut.png");
    assert_eq!(
        loaded.find(&picture).unwrap(),
        yunet().find(&picture).unwrap()
    );
}
