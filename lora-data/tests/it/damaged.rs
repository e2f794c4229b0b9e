//! Damaged files: whatever the bytes, a picture comes out or an error that names the file, and never a panic.

use image::{ImageFormat, Rgb, RgbImage};
use lora_data::{DecodeOptions, PictureLimits, decode_picture, dimensions};
use proptest::prelude::*;

use crate::folder::{Folder, encoded};

const FORMATS: [ImageFormat; 4] = [
    ImageFormat::Png,
    ImageFormat::Jpeg,
    ImageFormat::WebP,
    ImageFormat::Bmp,
];

/// First bytes that send the rest to each of the decoders.
const STARTS: [&[u8]; 7] = [
    b"",
    b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\0\x04\0\0\0\x04\x08\x02\0\0\0",
    b"\xff\xd8\xff\xe0\0\x02\xff\xc0\0\x11\x08\0\x04\0\x04\x03\x01\x22\0\x02\x11\x01\x03\x11\x01",
    b"RIFF\0\0\0\0WEBPVP8 ",
    b"RIFF\0\0\0\0WEBPVP8L\x10\0\0\0\x2f\x03\xc0\0\0",
    b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x03\0\0\x03\0\0ANMF",
    b"BM\0\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x04\0\0\0\x04\0\0\0\x01\0\x18\0",
];

fn picture() -> RgbImage {
    RgbImage::from_fn(9, 7, |x, y| {
        Rgb([(x * 27) as u8, (y * 36) as u8, (x * y * 5) as u8])
    })
}

/// Small, so that a lying size does not make the test slow.
fn options() -> DecodeOptions {
    DecodeOptions {
        limits: PictureLimits {
            max_pixels: 1 << 18,
            ..PictureLimits::default()
        },
        ..DecodeOptions::default()
    }
}

/// Decodes bytes; what decodes has the size that was told beforehand, and what does not is named.
fn decodes(bytes: &[u8]) -> bool {
    let folder = Folder::new();
    folder.write("图 1.png", bytes);
    let path = folder.path("图 1.png");
    let size = dimensions(&path, &options().limits);
    match decode_picture(&path, &options()) {
        Ok(decoded) => {
            assert_eq!(decoded.picture.dimensions(), size.unwrap());
            true
        }
        Err(error) => {
            let message = error.to_string();
            assert!(
                message.starts_with(&format!("{}: ", path.display())),
                "{message}"
            );
            false
        }
    }
}

#[test]
fn whole_files_decode_and_none_that_is_cut_anywhere() {
    for format in FORMATS {
        let bytes = encoded(&picture(), format);
        assert!(decodes(&bytes), "{format:?}");
        let appended = [&bytes[..], b"and more"].concat();
        assert!(decodes(&appended), "{format:?} with bytes behind it");
        for end in 0..bytes.len() {
            assert!(!decodes(&bytes[..end]), "{format:?} cut at {end}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_picture_or_an_error(
        start in prop::sample::select(&STARTS[..]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
        honest_length in any::<bool>(),
    ) {
        let mut bytes = [start, &rest].concat();
        if honest_length && start.starts_with(b"RIFF") {
            let length = (bytes.len() - 8) as u32;
            bytes[4..8].copy_from_slice(&length.to_le_bytes());
        }
        decodes(&bytes);
    }

    #[test]
    fn any_change_of_a_picture_is_a_picture_or_an_error(
        format in prop::sample::select(&FORMATS[..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = encoded(&picture(), format);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        decodes(&bytes);
    }

    #[test]
    fn any_piece_taken_out_or_doubled_is_a_picture_or_an_error(
        format in prop::sample::select(&FORMATS[..]),
        from in any::<prop::sample::Index>(),
        to in any::<prop::sample::Index>(),
    ) {
        let bytes = encoded(&picture(), format);
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        decodes(&[&bytes[..from], &bytes[to..]].concat());
    }
}
