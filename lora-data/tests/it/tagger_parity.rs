//! Taggers from files, compared with onnxruntime after SmilingWolf's preparation in Pillow (testdata/tagger).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use image::{Rgb, RgbImage};
use lora_data::{
    onnx::OnnxModel,
    tagger::{
        Category, ChannelOrder, OnnxTagger, OnnxTaggerConfig, PixelLayout, PixelScale, TagList,
        Tagger, TaggerError,
    },
};

use crate::onnx_model_builder::{Attribute, OnnxModelBuilder};

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../testdata/tagger")
        .join(name)
}

fn load(name: &str, config: &OnnxTaggerConfig) -> OnnxTagger {
    OnnxTagger::load(&testdata(name), None, config).unwrap()
}

fn recorded() -> BTreeMap<String, Vec<f32>> {
    serde_json::from_slice(&fs::read(testdata("onnxruntime.json")).unwrap()).unwrap()
}

/// The picture over white: these files need no turning.
fn picture(name: &str) -> RgbImage {
    let picture = image::open(testdata(name)).unwrap().into_rgba8();
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let [red, green, blue, alpha] = picture.get_pixel(x, y).0.map(u32::from);
        Rgb([red, green, blue].map(|byte| ((byte * alpha + 255 * (255 - alpha) + 127) / 255) as u8))
    })
}

/// The largest difference from onnxruntime's probabilities, of a tagger that takes pictures one by one.
fn difference(tagger: &OnnxTagger) -> f32 {
    let differences = recorded().into_iter().flat_map(|(name, expected)| {
        let input = tagger.input(&picture(&name)).unwrap();
        let found = tagger.probabilities(&input, 1).unwrap();
        assert_eq!(found.len(), expected.len());
        let pairs = found.into_iter().zip(expected);
        pairs
            .map(|(one, other)| (one - other).abs())
            .collect::<Vec<_>>()
    });
    differences.fold(0.0, f32::max)
}

/// What rounding of a pixel to the nearest level may change: 0.5 levels of a normal weight of 2 / 127.5 / 6 for each of
/// 48 averages, times the sigmoid's slope of 0.25 at most, is some 2e-3 if all were rounded the same way.
const TOLERANCE: f32 = 1e-3;

#[test]
fn both_layouts_give_the_probabilities_of_onnxruntime() {
    let pixels = load("model.onnx", &OnnxTaggerConfig::default());
    assert_eq!(pixels.layout(), PixelLayout::Pixels);
    assert_eq!((pixels.size(), pixels.scale()), (448, PixelScale::Bytes));
    assert!(!pixels.gives_logits());
    let planes = load("planes_logits.onnx", &OnnxTaggerConfig::default());
    assert_eq!(planes.layout(), PixelLayout::Planes);
    assert_eq!((planes.size(), planes.scale()), (448, PixelScale::Signed));
    assert!(planes.gives_logits());
    for tagger in [pixels, planes] {
        let difference = difference(&tagger);
        assert!(difference < TOLERANCE, "{tagger:?}: {difference}");
    }
}

/// The small taggers see what they are meant to see: each mistake in their input shows.
#[test]
fn another_order_or_scale_gives_other_probabilities() {
    for config in [
        OnnxTaggerConfig {
            channels: ChannelOrder::Rgb,
            ..OnnxTaggerConfig::default()
        },
        OnnxTaggerConfig {
            scale: Some(PixelScale::Unit),
            ..OnnxTaggerConfig::default()
        },
        OnnxTaggerConfig {
            logits: Some(true),
            ..OnnxTaggerConfig::default()
        },
    ] {
        let difference = difference(&load("model.onnx", &config));
        assert!(difference > 0.05, "{config:?}: {difference}");
    }
}

#[test]
fn a_batch_that_is_not_full_gives_the_same_as_single_pictures() {
    let config = OnnxTaggerConfig {
        batch: 4,
        ..OnnxTaggerConfig::default()
    };
    let tagger = load("model.onnx", &config);
    assert_eq!(tagger.batch(), 4);
    let names = ["cat.png", "shapes.png", "strip.png"];
    let inputs: Vec<f32> = names
        .iter()
        .flat_map(|name| tagger.input(&picture(name)).unwrap())
        .collect();
    let found = tagger.probabilities(&inputs, names.len()).unwrap();
    let recorded = recorded();
    let expected: Vec<f32> = names
        .iter()
        .flat_map(|name| recorded[*name].clone())
        .collect();
    assert_eq!(found.len(), expected.len());
    for (one, other) in found.iter().zip(&expected) {
        assert!((one - other).abs() < TOLERANCE);
    }
    // What the model fixes, no setting changes.
    assert_eq!(load("planes_logits.onnx", &config).batch(), 1);
}

#[test]
fn the_list_beside_the_model_is_read() {
    let tagger = load("", &OnnxTaggerConfig::default());
    let tags = tagger.tags().tags();
    assert_eq!(tags.len(), 24);
    let of = |category| tags.iter().filter(|tag| tag.category == category).count();
    assert_eq!(of(Category::Rating), 4);
    assert_eq!(of(Category::Character), 3);
    assert!(tags.iter().any(|tag| tag.name == "|_|"));
}

/// A model that averages a picture's pixels, `count` times over.
fn averaging(shape: &[i64], count: usize) -> OnnxModel {
    let bytes = OnnxModelBuilder::default()
        .input("picture", shape)
        .weight("w", &[3, count as i64], &vec![1.0; 3 * count])
        .node(
            "ReduceMean",
            &["picture"],
            "mean",
            &[
                ("axes", Attribute::Ints(&[1, 2])),
                ("keepdims", Attribute::Int(0)),
            ],
        )
        .node("MatMul", &["mean", "w"], "out", &[])
        .output("out", &[-1, count as i64])
        .into_bytes();
    OnnxModel::from_bytes("m.onnx", &bytes).unwrap()
}

fn list(count: usize) -> TagList {
    let names: Vec<String> = (0..count).map(|index| format!("tag{index}")).collect();
    TagList::parse("tags.csv", names.join("\n").as_bytes()).unwrap()
}

fn refused(shape: &[i64], outputs: usize, tags: usize, config: &OnnxTaggerConfig) -> String {
    let error = OnnxTagger::new(&averaging(shape, outputs), list(tags), config).unwrap_err();
    error.to_string()
}

#[test]
fn models_that_do_not_fit_are_refused_by_name() {
    let config = OnnxTaggerConfig::default();
    for (shape, found) in [
        (&[-1, 8, 8, 4][..], "[?, 8, 8, 4]"),
        (&[-1, 8, 9, 3], "[?, 8, 9, 3]"),
        (&[-1, -1, -1, -1], "[?, ?, ?, ?]"),
        (&[-1, 8, 3], "[?, 8, 3]"),
    ] {
        assert_eq!(
            refused(shape, 2, 2, &config),
            format!(
                "m.onnx: its input has the shape {found}; expected a square picture, [N, size, size, 3] or [N, 3, size, \
                 size]"
            )
        );
    }
    assert_eq!(
        refused(&[-1, 8, 8, 3], 5, 7, &config),
        "m.onnx: gives 5 numbers for a picture, but tags.csv names 7 tags; they do not belong together"
    );
    let asked = OnnxTaggerConfig {
        size: Some(16),
        ..config
    };
    assert_eq!(
        refused(&[1, 8, 8, 3], 2, 2, &asked),
        "m.onnx: takes pictures of 8 × 8 pixels, not of 16 × 16"
    );
}

#[test]
fn the_size_is_asked_for_where_the_model_leaves_it_open() {
    let model = averaging(&[-1, -1, -1, 3], 2);
    let config = OnnxTaggerConfig {
        size: Some(16),
        ..OnnxTaggerConfig::default()
    };
    assert_eq!(
        OnnxTagger::new(&model, list(2), &config).unwrap().size(),
        16
    );
    let tagger = OnnxTagger::new(&model, list(2), &OnnxTaggerConfig::default()).unwrap();
    assert_eq!(tagger.size(), 448);
}

#[test]
fn what_is_neither_probability_nor_logit_is_an_error_that_names_the_tag() {
    // Of a white picture the sum is 3, and so it is taken for logits.
    let unit = OnnxTaggerConfig {
        scale: Some(PixelScale::Unit),
        ..OnnxTaggerConfig::default()
    };
    let model = averaging(&[-1, 8, 8, 3], 2);
    assert!(
        OnnxTagger::new(&model, list(2), &unit)
            .unwrap()
            .gives_logits()
    );
    let said = OnnxTaggerConfig {
        logits: Some(false),
        ..unit
    };
    let tagger = OnnxTagger::new(&model, list(2), &said).unwrap();
    let of = |value: f32| tagger.probabilities(&[value; 8 * 8 * 3], 1);
    assert_eq!(of(0.25).unwrap(), [0.75; 2]);
    assert!(matches!(
        of(0.5),
        Err(TaggerError::NotAProbability { ref tag, value, .. }) if tag == "tag0" && value > 1.4
    ));
    assert!(of(f32::NAN).is_err());
}

#[test]
fn missing_files_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    let load = |path: &Path| {
        let error = OnnxTagger::load(path, None, &OnnxTaggerConfig::default()).unwrap_err();
        error.to_string()
    };
    assert!(load(folder.path()).contains("model.onnx: cannot be read"));
    fs::write(&path, "no model").unwrap();
    assert!(load(&path).contains("selected_tags.csv: cannot be read"));
    fs::write(folder.path().join("selected_tags.csv"), "cat\n").unwrap();
    assert!(load(folder.path()).contains("model.onnx: is not an ONNX model"));
}
