//! Masks beside pictures and in their transparency.

use image::{ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use lora_data::{Dataset, ImageFolders, MaskConfig, MaskSource, View};

use crate::folder::{Folder, encoded, encoded_dynamic};

fn opened(folder: &Folder, mask: MaskConfig) -> ImageFolders {
    let config = lora_data::DatasetConfig {
        mask,
        ..folder.config(&["set"])
    };
    ImageFolders::open(&config).unwrap()
}

fn mask_of(opened: &ImageFolders, view: View) -> Option<Vec<f32>> {
    opened.pixels(0, &view).unwrap().mask
}

/// White on the left half.
fn left_half() -> Vec<u8> {
    let mask = image::GrayImage::from_fn(8, 8, |x, _| Luma([if x < 4 { 255 } else { 0 }]));
    encoded_dynamic(&mask.into(), ImageFormat::Png)
}

#[test]
fn a_mask_file_is_no_picture_and_is_mirrored_with_its_picture() {
    let folder = Folder::new();
    folder
        .captioned("set/a.png")
        .write("set/a-masklabel.png", left_half());
    let file = MaskConfig {
        source: MaskSource::File,
        unmasked_weight: 0.25,
    };
    let opened_with = opened(&folder, file);
    assert_eq!(opened_with.entries().len(), 1);
    let row = |mask: Option<Vec<f32>>| mask.unwrap()[..8].to_vec();
    assert_eq!(
        row(mask_of(&opened_with, View::plain())),
        [1.0, 1.0, 1.0, 1.0, 0.25, 0.25, 0.25, 0.25]
    );
    assert_eq!(
        row(mask_of(&opened_with, View::flipped())),
        [0.25, 0.25, 0.25, 0.25, 1.0, 1.0, 1.0, 1.0]
    );
    assert_eq!(
        mask_of(&opened(&folder, MaskConfig::default()), View::plain()),
        None
    );
}

#[test]
fn transparency_is_a_mask_if_asked_for() {
    let folder = Folder::new();
    let picture = RgbaImage::from_fn(8, 8, |_, y| Rgba([9, 9, 9, if y == 0 { 255 } else { 51 }]));
    folder
        .write(
            "set/a.png",
            encoded_dynamic(&picture.into(), ImageFormat::Png),
        )
        .write("set/a.txt", "a");
    let alpha = MaskConfig {
        source: MaskSource::Alpha,
        unmasked_weight: 0.0,
    };
    let mask = mask_of(&opened(&folder, alpha), View::plain()).unwrap();
    assert_eq!((mask[0], mask[8]), (1.0, 0.2));
    // A picture without transparency counts everywhere.
    folder.captioned("set/a.png");
    assert_eq!(mask_of(&opened(&folder, alpha), View::plain()), None);
}

#[test]
fn a_mask_of_other_proportions_is_a_problem_and_one_without_a_picture_a_note() {
    let folder = Folder::new();
    let wide = encoded(
        &RgbImage::from_pixel(16, 8, Rgb([255; 3])),
        ImageFormat::Png,
    );
    folder
        .captioned("set/a.png")
        .write("set/a-masklabel.png", wide)
        .write("set/gone-masklabel.png", left_half());
    let config = lora_data::DatasetConfig {
        mask: MaskConfig {
            source: MaskSource::File,
            unmasked_weight: 0.0,
        },
        ..folder.config(&["set"])
    };
    let error = ImageFolders::open(&config).unwrap_err().to_string();
    assert!(
        error.contains("a-masklabel.png: is 16×8 pixels, but its picture is 8×8"),
        "{error}"
    );
    let notes = opened(&folder, MaskConfig::default()).notes().join("\n");
    assert!(
        notes.contains("masks without a picture of that name: gone-masklabel.png"),
        "{notes}"
    );
}
