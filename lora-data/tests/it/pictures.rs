//! Pixels as a viewer would see them: formats, EXIF turns, transparency, crops.

use image::{
    DynamicImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage, metadata::Orientation,
};
use lora_data::{
    Dataset, DecodeOptions, ImageFolders, PictureLimits, Pixels, Resolution, View, decode_picture,
    dimensions,
};

use crate::folder::{Folder, encoded, encoded_dynamic};

const RED: Rgb<u8> = Rgb([255, 0, 0]);
const GREEN: Rgb<u8> = Rgb([0, 255, 0]);
const BLUE: Rgb<u8> = Rgb([0, 0, 255]);
const WHITE: Rgb<u8> = Rgb([255, 255, 255]);

/// The pixels and the size of one picture file, read at `resolution`.
fn read(name: &str, bytes: &[u8], resolution: Resolution) -> (Pixels, (u32, u32)) {
    let folder = Folder::new();
    folder.write(&format!("1_x/{name}"), bytes);
    let mut config = folder.config(&["1_x"]);
    config.resolution = resolution;
    let opened = ImageFolders::open(&config).unwrap();
    (
        opened.pixels(0, &View::plain()).unwrap(),
        opened.entries()[0].size,
    )
}

/// A picture whose quarters are red, green, blue and white in reading order.
fn quarters(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        match (x < width / 2, y < height / 2) {
            (true, true) => RED,
            (false, true) => GREEN,
            (true, false) => BLUE,
            (false, false) => WHITE,
        }
    })
}

fn pixel(pixels: &Pixels, x: u32, y: u32) -> [f32; 3] {
    let plane = (pixels.width * pixels.height) as usize;
    let at = (y * pixels.width + x) as usize;
    [
        pixels.data[at],
        pixels.data[plane + at],
        pixels.data[2 * plane + at],
    ]
}

/// Within what JPEG compression does to flat quarters.
fn is_near(found: [f32; 3], Rgb(expected): Rgb<u8>) -> bool {
    found
        .iter()
        .zip(expected)
        .all(|(found, byte)| (found - (f32::from(byte) / 127.5 - 1.0)).abs() < 0.06)
}

/// Puts an EXIF segment that says `orientation` behind the start of a JPEG.
pub fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0".to_vec();
    exif.extend([
        0x12,
        0x01,
        3,
        0,
        1,
        0,
        0,
        0,
        orientation,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    let length = (exif.len() + 2) as u16;
    let segment = [&[0xff, 0xe1][..], &length.to_be_bytes(), &exif].concat();
    [&jpeg[..2], &segment, &jpeg[2..]].concat()
}

#[test]
fn every_exif_orientation_is_turned_as_a_viewer_turns_it() {
    let jpeg = encoded(&quarters(32, 64), ImageFormat::Jpeg);
    // The quarters in reading order once turned: EXIF 2.32, tag 0x0112.
    for (orientation, expected) in [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
    ] {
        let size = if orientation < 5 { (32, 64) } else { (64, 32) };
        let resolution = Resolution {
            width: size.0,
            height: size.1,
        };
        let (pixels, found_size) = read("a.jpg", &with_orientation(&jpeg, orientation), resolution);
        assert_eq!(found_size, size, "orientation {orientation}");
        let (right, bottom) = (size.0 - 5, size.1 - 5);
        for ((x, y), colour) in [(4, 4), (right, 4), (4, bottom), (right, bottom)]
            .into_iter()
            .zip(expected)
        {
            let found = pixel(&pixels, x, y);
            assert!(
                is_near(found, colour),
                "orientation {orientation} at {x},{y}: {found:?} is not {colour:?}"
            );
        }
    }
}

#[test]
fn a_png_is_turned_too() {
    let mut png = Vec::new();
    let mut encoder = image::codecs::png::PngEncoder::new(&mut png);
    let mut exif = b"II*\0\x08\0\0\0\x01\0".to_vec();
    exif.extend([
        0x12,
        0x01,
        3,
        0,
        1,
        0,
        0,
        0,
        Orientation::Rotate90.to_exif(),
        0,
        0,
        0,
        0,
        0,
        0,
        0,
    ]);
    image::ImageEncoder::set_exif_metadata(&mut encoder, exif).unwrap();
    quarters(8, 16).write_with_encoder(encoder).unwrap();
    let (pixels, size) = read(
        "a.png",
        &png,
        Resolution {
            width: 16,
            height: 8,
        },
    );
    assert_eq!(size, (16, 8));
    assert!(is_near(pixel(&pixels, 0, 0), BLUE) && is_near(pixel(&pixels, 15, 0), RED));
}

#[test]
fn a_webp_is_turned_too_and_its_size_is_known_without_decoding() {
    let turn = Orientation::Rotate90.to_exif();
    let exif = [
        &b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0"[..],
        &[turn, 0, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    // Some writers put JPEG's name before the data.
    for exif in [exif.clone(), [&b"Exif\0\0"[..], &exif].concat()] {
        let mut webp = Vec::new();
        let mut encoder = image::codecs::webp::WebPEncoder::new_lossless(&mut webp);
        image::ImageEncoder::set_exif_metadata(&mut encoder, exif).unwrap();
        quarters(8, 16).write_with_encoder(encoder).unwrap();
        let folder = Folder::new();
        folder.write("a.webp", webp);
        let path = folder.path("a.webp");
        let size = dimensions(&path, &PictureLimits::default()).unwrap();
        assert_eq!(size, (16, 8));
        let decoded = decode_picture(&path, &DecodeOptions::default()).unwrap();
        assert_eq!(decoded.picture.dimensions(), size);
        assert_eq!(decoded.picture.get_pixel(0, 0), &BLUE);
        assert_eq!(decoded.picture.get_pixel(15, 0), &RED);
    }
}

#[test]
fn lossless_formats_of_the_right_size_arrive_bit_for_bit() {
    let picture = RgbImage::from_fn(12, 9, |x, y| {
        Rgb([(x * 21) as u8, (y * 28) as u8, ((x * y) % 256) as u8])
    });
    let expected = Pixels::from_rgb(&picture);
    for (name, format) in [
        ("a.png", ImageFormat::Png),
        ("a.webp", ImageFormat::WebP),
        ("a.bmp", ImageFormat::Bmp),
    ] {
        let (pixels, _) = read(
            name,
            &encoded(&picture, format),
            Resolution {
                width: 12,
                height: 9,
            },
        );
        assert_eq!(pixels, expected, "{name}");
    }
}

#[test]
fn the_content_tells_the_format_and_not_the_name() {
    let webp = encoded(&quarters(8, 8), ImageFormat::WebP);
    let (pixels, _) = read("a.png", &webp, Resolution::square(8));
    assert_eq!(pixels, Pixels::from_rgb(&quarters(8, 8)));
}

#[test]
fn transparency_shows_white() {
    let picture = RgbaImage::from_fn(8, 8, |x, _| Rgba([0, 0, 0, if x < 4 { 0 } else { 255 }]));
    for (name, format) in [("a.png", ImageFormat::Png), ("a.webp", ImageFormat::WebP)] {
        let bytes = encoded_dynamic(&DynamicImage::from(picture.clone()), format);
        let (pixels, _) = read(name, &bytes, Resolution::square(8));
        assert!(is_near(pixel(&pixels, 3, 0), WHITE), "{name}");
        assert!(is_near(pixel(&pixels, 4, 0), Rgb([0, 0, 0])), "{name}");
    }
}

/// Were the picture resized before the white is put under it, the red of the hidden half would bleed into the edge.
#[test]
fn hidden_colours_do_not_bleed_when_shrinking() {
    let picture = RgbaImage::from_fn(64, 64, |x, _| {
        if x < 31 {
            Rgba([255, 0, 0, 0])
        } else {
            Rgba([255; 4])
        }
    });
    let bytes = encoded_dynamic(&DynamicImage::from(picture), ImageFormat::Png);
    let (pixels, _) = read("a.png", &bytes, Resolution::square(16));
    assert!(pixels.data.iter().all(|&value| value > 0.99));
}

#[test]
fn grey_and_sixteen_bits_become_eight_bit_rgb() {
    let grey = DynamicImage::from(image::GrayImage::from_pixel(8, 8, Luma([200])));
    let deep = DynamicImage::from(image::ImageBuffer::from_pixel(
        8,
        8,
        Rgb([200_u16 * 257; 3]),
    ));
    for picture in [grey, deep] {
        let (pixels, _) = read(
            "a.png",
            &encoded_dynamic(&picture, ImageFormat::Png),
            Resolution::square(8),
        );
        assert!(is_near(pixel(&pixels, 0, 0), Rgb([200; 3])));
    }
}

#[test]
fn the_middle_of_a_wide_picture_fills_the_resolution() {
    let bands = RgbImage::from_fn(120, 40, |x, _| [RED, GREEN, BLUE][x as usize / 40]);
    let (pixels, size) = read(
        "a.png",
        &encoded(&bands, ImageFormat::Png),
        Resolution {
            width: 10,
            height: 20,
        },
    );
    assert_eq!((size, pixels.width, pixels.height), ((120, 40), 10, 20));
    assert_eq!(pixels.data.len(), 3 * 10 * 20);
    assert!((0..10).all(|x| is_near(pixel(&pixels, x, 10), GREEN)));
}
