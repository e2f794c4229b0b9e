//! Colour profiles: what a file says of its colours is turned into sRGB.

use image::{
    DynamicImage, ExtendedColorType, ImageEncoder, Luma, Rgb, RgbImage,
    codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder},
};
use lora_data::{AlphaPolicy, DecodeOptions, decode_picture};
use moxcms::ColorProfile;

use crate::folder::Folder;

fn decoded(bytes: &[u8]) -> RgbImage {
    let folder = Folder::new();
    folder.write("a.png", bytes);
    let path = folder.path("a.png");
    decode_picture(&path, &DecodeOptions::default())
        .unwrap()
        .picture
}

fn png(picture: &DynamicImage, profile: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    encoder.set_icc_profile(profile.to_vec()).unwrap();
    picture.write_with_encoder(encoder).unwrap();
    bytes
}

fn assert_near(found: &RgbImage, expected: &RgbImage, most: u8) {
    for (found, expected) in found.pixels().zip(expected.pixels()) {
        let near = found
            .0
            .iter()
            .zip(expected.0)
            .all(|(a, b)| a.abs_diff(b) <= most);
        assert!(near, "{found:?} is not {expected:?}");
    }
}

fn row(colours: &[[u8; 3]]) -> RgbImage {
    RgbImage::from_fn(colours.len() as u32, 1, |x, _| Rgb(colours[x as usize]))
}

const DISPLAY_P3: [[u8; 3]; 6] = [
    [200, 100, 50],
    [100, 150, 100],
    [60, 80, 160],
    [128, 128, 128],
    [250, 240, 230],
    [20, 30, 40],
];

/// The same in sRGB, recorded from `ImageCms.profileToProfile` of Pillow 13.0.0 with LittleCMS 2.19.
const AS_SRGB: [[u8; 3]; 6] = [
    [215, 93, 31],
    [83, 152, 95],
    [54, 81, 166],
    [128, 128, 128],
    [252, 240, 229],
    [17, 30, 41],
];

#[test]
fn display_p3_becomes_srgb_as_in_pillow() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let stored = row(&DISPLAY_P3);
    let expected = row(&AS_SRGB);
    assert_near(
        &decoded(&png(&stored.clone().into(), &profile)),
        &expected,
        1,
    );

    let mut webp = Vec::new();
    let mut encoder = WebPEncoder::new_lossless(&mut webp);
    encoder.set_icc_profile(profile.clone()).unwrap();
    stored.write_with_encoder(encoder).unwrap();
    assert_near(&decoded(&webp), &expected, 1);

    let mut jpeg = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut jpeg, 100);
    encoder.set_icc_profile(profile).unwrap();
    let flat = RgbImage::from_pixel(8, 8, Rgb(DISPLAY_P3[0]));
    encoder
        .write_image(&flat, 8, 8, ExtendedColorType::Rgb8)
        .unwrap();
    assert_near(
        &decoded(&jpeg),
        &RgbImage::from_pixel(8, 8, Rgb(AS_SRGB[0])),
        3,
    );
}

#[test]
fn transparency_stays_when_colours_are_turned() {
    let profile = ColorProfile::new_display_p3().encode().unwrap();
    let stored = image::RgbaImage::from_fn(6, 1, |x, _| {
        let [red, green, blue] = DISPLAY_P3[x as usize];
        image::Rgba([red, green, blue, 40 * x as u8])
    });
    let folder = Folder::new();
    folder.write("a.png", png(&stored.into(), &profile));
    let options = DecodeOptions {
        alpha: AlphaPolicy::Mask,
        ..DecodeOptions::default()
    };
    let decoded = decode_picture(&folder.path("a.png"), &options).unwrap();
    assert_near(&decoded.picture, &row(&AS_SRGB), 1);
    assert_eq!(
        decoded.alpha.unwrap().into_raw(),
        [0, 40, 80, 120, 160, 200]
    );
}

#[test]
fn grey_of_another_gamma_becomes_srgb() {
    let profile = ColorProfile::new_gray_with_gamma(1.0);
    let stored = image::GrayImage::from_fn(3, 1, |x, _| Luma([[0, 55, 255][x as usize]]));
    // 55/255 of the light is 1.055 × 0.2157^(1/2.4) - 0.055 = 0.502 in sRGB, 128 of 255.
    let expected = row(&[[0; 3], [128; 3], [255; 3]]);
    let found = decoded(&png(&stored.into(), &profile.encode().unwrap()));
    assert_near(&found, &expected, 1);
}

#[test]
fn srgb_and_profiles_that_are_none_change_nothing() {
    let stored = RgbImage::from_fn(64, 64, |x, y| {
        Rgb([(x * 4) as u8, (y * 4) as u8, (x * y) as u8])
    });
    let srgb = ColorProfile::new_srgb().encode().unwrap();
    let grey = ColorProfile::new_gray_with_gamma(2.2).encode().unwrap();
    let p3 = ColorProfile::new_display_p3().encode().unwrap();
    for profile in [
        &srgb[..],
        &grey,
        &p3[..p3.len() / 2],
        b"no profile",
        &[0; 128],
    ] {
        assert_eq!(decoded(&png(&stored.clone().into(), profile)), stored);
    }
}
