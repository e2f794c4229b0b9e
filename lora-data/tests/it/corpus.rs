//! Files that are no pictures, or lie: each is refused in words that name it and say what to do.

use image::{DynamicImage, ImageFormat, RgbaImage};
use lora_data::{AlphaPolicy, DecodeOptions, PictureLimits, decode_picture, dimensions};

use crate::folder::{Folder, encoded, encoded_dynamic, grey};

/// What is said of a file, with its name taken off the front.
fn complaint(folder: &Folder, name: &str, options: &DecodeOptions) -> String {
    let path = folder.path(name);
    let message = decode_picture(&path, options).unwrap_err().to_string();
    let start = format!("{}: ", path.display());
    message
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{message} does not start with {start}"))
        .to_owned()
}

/// Checks what is said of a file; a text that ends in … is only the start.
fn check(folder: &Folder, name: &str, expected: &str) {
    let found = complaint(folder, name, &DecodeOptions::default());
    match expected.strip_suffix('…') {
        Some(start) => assert!(found.starts_with(start), "{name}: {found}"),
        None => assert_eq!(found, expected, "{name}"),
    }
}

fn check_all(cases: &[(&str, &[u8], &str)]) {
    let folder = Folder::new();
    for (name, bytes, expected) in cases {
        folder.write(name, bytes);
        check(&folder, name, expected);
    }
}

fn patched(mut bytes: Vec<u8>, at: usize, with: &[u8]) -> Vec<u8> {
    bytes[at..at + with.len()].copy_from_slice(with);
    bytes
}

fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes
        .windows(part.len())
        .position(|window| window == part)
        .unwrap()
}

#[test]
fn files_of_other_kinds_are_called_by_their_real_name() {
    check_all(&[
        ("空.png", b"", "is empty (0 bytes)"),
        (
            "text.png",
            b"not a picture\n",
            "is text, whatever its name says; remove it from the folder",
        ),
        (
            "page.jpg",
            b"<!DOCTYPE html>\n<html><body>404</body></html>",
            "is a web page, whatever its name says; download the picture itself again",
        ),
        (
            "drawing.png",
            b"<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>",
            "is an SVG drawing, whatever its name says; save it as PNG or JPEG",
        ),
        (
            "moving.png",
            b"GIF89a\x08\0\x08\0\x80\0\0",
            "is a GIF, whatever its name says; save it as PNG or JPEG",
        ),
        (
            "phone 1.jpg",
            b"\0\0\0\x24ftypheic\0\0\0\0mif1heic",
            "is HEIC, whatever its name says; save it as PNG or JPEG",
        ),
        (
            "new.png",
            b"\0\0\0\x1cftypavif\0\0\0\0mif1",
            "is AVIF, whatever its name says; save it as PNG or JPEG",
        ),
        (
            "scan.png",
            b"II*\0\x08\0\0\0\0\0",
            "is a TIFF or camera raw file, whatever its name says; save it as PNG or JPEG",
        ),
        (
            "layers.png",
            b"8BPS\0\x01\0\0\0\0\0\0\0\x03",
            "is a Photoshop document, whatever its name says; save it as PNG or JPEG",
        ),
        (
            "zeros.webp",
            &[0; 4096],
            "is nothing but zeros, a copy that was never finished, whatever its name says; copy or download it again",
        ),
        (
            "pointer.png",
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
            "is a Git LFS pointer and not the picture, whatever its name says; fetch the pictures with `git lfs pull`",
        ),
        (
            "noise.bmp",
            &[0xc3, 0x28, 0x00, 0x9f, 0x11],
            "is no PNG, JPEG, WebP or BMP: it starts with the bytes c3 28 00 9f 11; save it again as PNG or JPEG, \
             or remove it",
        ),
        (
            "start of a bitmap.bmp",
            b"BM\0\0\0\0",
            "is no PNG, JPEG, WebP or BMP: it starts with the bytes 42 4d 00 00 00 00; save it again as PNG or JPEG, \
             or remove it",
        ),
    ]);
}

#[test]
fn files_that_end_early_are_cut_short() {
    let [png, jpeg, webp, bmp] = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Bmp,
    ]
    .map(|format| encoded(&grey(8, 8), format));
    check_all(&[
        (
            "no_end.png",
            &png[..png.len() - 12],
            "is cut short: the PNG's end chunk is missing; copy or download it again",
        ),
        (
            "half.png",
            &png[..find(&png, b"IDAT") + 8],
            "is cut short: its IDAT chunk is of …",
        ),
        (
            "no_end.jpg",
            &jpeg[..jpeg.len() - 2],
            "is cut short: the JPEG's end marker is missing; copy or download it again",
        ),
        (
            "half.jpg",
            &jpeg[..jpeg.len() / 2],
            "is cut short: the JPEG's end marker is missing; copy or download it again",
        ),
        (
            "half.webp",
            &webp[..webp.len() - 4],
            &format!(
                "is cut short: it has {} bytes of the {} that its header speaks of; copy or download it again",
                webp.len() - 4,
                webp.len()
            ),
        ),
        (
            "header.webp",
            b"RIFF\x04\0\0\0WEBP",
            "is cut short: the file ends within its header; copy or download it again",
        ),
        (
            "half.bmp",
            &bmp[..100],
            &format!(
                "is cut short: it has 100 bytes of the {} that its header speaks of; copy or download it again",
                bmp.len()
            ),
        ),
    ]);
}

#[test]
fn headers_that_cannot_be_true_are_refused() {
    let [png, jpeg, webp, bmp] = [
        ImageFormat::Png,
        ImageFormat::Jpeg,
        ImageFormat::WebP,
        ImageFormat::Bmp,
    ]
    .map(|format| encoded(&grey(8, 8), format));
    let frame = find(&jpeg, &[0xff, 0xc0]);
    let huge = 60_000_u32.to_be_bytes();
    let zero = [0; 4];
    let data = find(&png, b"IDAT");
    let no_pixels = "it has nothing to show";
    check_all(&[
        (
            "zero.png",
            &patched(png.clone(), 16, &zero),
            &format!("says that it is 0 × 8 pixels; {no_pixels}"),
        ),
        (
            "zero.jpg",
            &patched(jpeg.clone(), frame + 5, &zero[..2]),
            &format!("says that it is 8 × 0 pixels; {no_pixels}"),
        ),
        (
            "zero.bmp",
            &patched(bmp.clone(), 18, &zero),
            &format!("says that it is 0 × 8 pixels; {no_pixels}"),
        ),
        (
            "negative.bmp",
            &patched(bmp.clone(), 18, &(-8_i32).to_le_bytes()),
            "contradicts itself: it says that it is -8 pixels wide; save it again as PNG or JPEG, or remove it",
        ),
        (
            "huge.png",
            &patched(png.clone(), 16, &[huge, huge].concat()),
            "says that it is 60000 × 60000 pixels; more than 200000000 pixels or 65535 a side are not read; \
             make it smaller",
        ),
        (
            "large.png",
            &patched(png.clone(), 16, &[10_000_u32.to_be_bytes(); 2].concat()),
            "contradicts itself: …",
        ),
        (
            "large.jpg",
            &patched(jpeg.clone(), frame + 5, &[0x27, 0x10, 0x27, 0x10]),
            "contradicts itself: …",
        ),
        (
            "huge.webp",
            &patched(webp.clone(), 21, &[0xff, 0xff, 0xff, 0x0f]),
            "says that it is 16384 × 16384 pixels; …",
        ),
        (
            "sound.webp",
            &patched(webp.clone(), 12, b"JUNK"),
            "contradicts itself: it is a WebP without a picture; …",
        ),
        (
            "no_frame.jpg",
            &[0xff, 0xd8, 0xff, 0xd9],
            "contradicts itself: it is a JPEG without a frame; …",
        ),
        (
            "damaged.png",
            &patched(png.clone(), data + 6, &[0xff; 4]),
            "cannot be decoded: …",
        ),
        (
            "two_headers.png",
            &[&png[..33], &png[8..]].concat(),
            "contradicts itself: its header is not its first chunk, or not its only one; …",
        ),
    ]);
}

#[test]
fn limits_of_the_caller_count_for_pixels_and_for_sizes() {
    let folder = Folder::new();
    folder.write("a.png", encoded(&grey(8, 4), ImageFormat::Png));
    let default = PictureLimits::default();
    for (limits, expected) in [
        (
            PictureLimits {
                max_pixels: 31,
                ..default
            },
            "says that it is 8 × 4 pixels; more than 31 pixels or 65535 a side are not read; make it smaller",
        ),
        (
            PictureLimits {
                max_side: 7,
                ..default
            },
            "says that it is 8 × 4 pixels; more than 200000000 pixels or 7 a side are not read; make it smaller",
        ),
    ] {
        let options = DecodeOptions {
            limits,
            ..DecodeOptions::default()
        };
        assert_eq!(complaint(&folder, "a.png", &options), expected);
        assert!(dimensions(&folder.path("a.png"), &limits).is_err());
    }
    let exact = PictureLimits {
        max_pixels: 32,
        max_side: 8,
        ..default
    };
    assert_eq!(dimensions(&folder.path("a.png"), &exact).unwrap(), (8, 4));
    // Few bytes in the file, and many once unpacked.
    folder.write("b.png", encoded(&grey(300, 300), ImageFormat::Png));
    let options = DecodeOptions {
        limits: PictureLimits {
            max_memory: 269_999,
            ..default
        },
        ..DecodeOptions::default()
    };
    assert_eq!(
        complaint(&folder, "b.png", &options),
        "needs 270000 bytes of memory; more than 269999 are not taken; make it smaller, or 8 bits per channel"
    );
}

#[test]
fn transparency_can_be_refused_or_kept_beside() {
    let folder = Folder::new();
    let picture = RgbaImage::from_fn(4, 2, |x, _| image::Rgba([10, 20, 30, 85 * x as u8]));
    folder.write(
        "a.png",
        encoded_dynamic(&DynamicImage::from(picture), ImageFormat::Png),
    );
    let options = |alpha| DecodeOptions {
        alpha,
        ..DecodeOptions::default()
    };
    assert_eq!(
        complaint(&folder, "a.png", &options(AlphaPolicy::Refuse)),
        "is transparent at 6 of its pixels; choose a matte colour or a mask, or flatten it"
    );
    let path = folder.path("a.png");
    let kept = decode_picture(&path, &options(AlphaPolicy::Mask)).unwrap();
    assert!(kept.picture.pixels().all(|pixel| pixel.0 == [10, 20, 30]));
    let alpha = kept.alpha.unwrap().into_raw();
    assert_eq!(alpha, [0, 85, 170, 255, 0, 85, 170, 255]);
    let matte = decode_picture(&path, &options(AlphaPolicy::Matte([0, 0, 255]))).unwrap();
    assert_eq!(matte.picture.get_pixel(0, 0).0, [0, 0, 255]);
    assert_eq!(matte.alpha, None);
}

#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_without_waiting() {
    let folder = Folder::new();
    folder.folder("folder.png");
    let made = std::process::Command::new("mkfifo")
        .arg(folder.path("pipe.png"))
        .status()
        .unwrap();
    assert!(made.success());
    std::os::unix::fs::symlink("gone away.png", folder.path("link.png")).unwrap();
    std::os::unix::fs::symlink("loop.png", folder.path("loop.png")).unwrap();
    for (name, expected) in [
        ("folder.png", "is a folder and no file; remove or rename it"),
        (
            "pipe.png",
            "is a pipe, socket or device and no file; remove or rename it",
        ),
        (
            "link.png",
            "is a link to gone away.png, which is not there; remove or mend it",
        ),
        ("loop.png", "cannot be read: …"),
        ("nothing.png", "cannot be read: …"),
    ] {
        check(&folder, name, expected);
    }
}

/// The decoder would unpack such a picture before it compares the sizes.
#[test]
fn webp_pictures_larger_than_their_canvas_are_refused() {
    let webp = encoded(&grey(8, 8), ImageFormat::WebP);
    let chunk = |name: &[u8], data: &[u8]| {
        let length = (data.len() as u32).to_le_bytes();
        [name, &length, data].concat()
    };
    let canvas = chunk(b"VP8X", &[2, 0, 0, 0, 3, 0, 0, 3, 0, 0]);
    let frame = chunk(b"ANMF", &[&[0; 16], &webp[12..]].concat());
    let whole = |parts: &[&[u8]]| chunk(b"RIFF", &[b"WEBP", &parts.concat()[..]].concat());
    let expected =
        "contradicts itself: it holds 8 × 8 pixels, more than the 4 × 4 of its header; …";
    check_all(&[
        ("still.webp", &whole(&[&canvas, &webp[12..]]), expected),
        ("moving.webp", &whole(&[&canvas, &frame]), expected),
    ]);
}
