//! Files that unpack to much more than they hold.

use std::{fs, path::Path};

use image::{ImageFormat, Rgb, RgbImage};
use lora_data::{DecodeOptions, decode_picture};

use crate::{ALONE, MEMORY};

/// What a bomb may take at most, in MB.
const MOST: f32 = 200.0;

/// Packs `length` zeros into a zlib stream. Source: RFC 1951, section 3.2.6, fixed Huffman codes.
fn zlib_of_zeros(length: usize) -> Vec<u8> {
    let mut bytes = vec![0x78, 0x01];
    let (mut pending, mut count) = (0_u32, 0);
    let mut put = |bits: u32, width: u32| {
        pending |= bits << count;
        count += width;
        while count >= 8 {
            bytes.push(pending as u8);
            pending >>= 8;
            count -= 8;
        }
    };
    // The last block, of fixed codes; the literal 0, whose code is 0011_0000 from its highest bit on.
    put(0b011, 3);
    put(0b0000_1100, 8);
    for _ in 0..length.saturating_sub(1) / 258 {
        // Length 258 is 1100_0101, distance 1 is 0_0000.
        put(0b1010_0011, 8);
        put(0, 5);
    }
    // The end of the block.
    put(0, 7);
    put(0, 7);
    bytes.extend([0; 4]);
    bytes
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [&name[..], data].concat();
    let length = (data.len() as u32).to_be_bytes();
    [&length[..], &named, &crc(&named).to_be_bytes()].concat()
}

fn png(extra: &[u8]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(8, 8, Rgb([1, 2, 3]))
        .write_to(&mut bytes, ImageFormat::Png)
        .unwrap();
    let bytes = bytes.into_inner();
    // Behind the header.
    [&bytes[..33], extra, &bytes[33..]].concat()
}

/// A WebP in the extended format with a chunk of its own: `within` it, or behind its declared end. The chunk claims
/// `length` bytes and has `data`.
fn webp(within: bool, name: [u8; 4], length: u32, data: &[u8]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    RgbImage::from_pixel(8, 8, Rgb([1, 2, 3]))
        .write_to(&mut bytes, ImageFormat::WebP)
        .unwrap();
    let bytes = bytes.into_inner();
    // A flag that speaks of a profile, and the canvas less one each way.
    let header = [0x20, 0, 0, 0, 7, 0, 0, 7, 0, 0];
    let header = [&b"VP8X"[..], &10_u32.to_le_bytes(), &header].concat();
    let extra = [&name[..], &length.to_le_bytes(), data].concat();
    let (inside, behind) = if within {
        (&extra[..], &[][..])
    } else {
        (&[][..], &extra[..])
    };
    let inside = [&b"WEBP"[..], &header, inside, &bytes[12..]].concat();
    let size = (inside.len() as u32).to_le_bytes();
    [&b"RIFF"[..], &size, &inside, behind].concat()
}

/// What becomes of a file, and the most memory that was held meanwhile, in MB.
fn read(path: &Path, bytes: Vec<u8>) -> (String, f32) {
    fs::write(path, bytes).unwrap();
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage_as_mb();
    let message = match decode_picture(path, &DecodeOptions::default()) {
        Ok(decoded) => format!("{:?}", decoded.picture.dimensions()),
        Err(error) => error.to_string(),
    };
    (message, MEMORY.peak_usage_as_mb() - before)
}

#[test]
fn bombs_take_little_memory() {
    let _alone = ALONE.lock().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bomb.png");
    let side = 60_000_u32.to_be_bytes();
    let header = chunk(*b"IHDR", &[&side[..], &side, &[8, 2, 0, 0, 0]].concat());
    let billion = zlib_of_zeros(1_000_000_000);
    let profile = [b"bomb\0\0", &billion[..]].concat();
    let start = b"\x89PNG\r\n\x1a\n";
    let end = chunk(*b"IEND", &[]);
    let pixels = chunk(*b"IDAT", &zlib_of_zeros(2_000_000_000));
    for (name, bytes, expected) in [
        (
            "pixels",
            [&start[..], &header, &pixels, &end].concat(),
            "says that it is 60000 × 60000 pixels",
        ),
        ("profile", png(&chunk(*b"iCCP", &profile)), "(8, 8)"),
        ("text", png(&chunk(*b"zTXt", &profile)), "(8, 8)"),
        (
            "long text",
            png(&chunk(*b"tEXt", &vec![b'a'; 300 << 20])),
            "cannot be decoded",
        ),
        (
            "claimed profile",
            webp(false, *b"ICCP", 3_000_000_000, &[0; 64]),
            "cannot be decoded",
        ),
        (
            "long profile",
            webp(true, *b"ICCP", 300 << 20, &vec![0; 300 << 20]),
            "(8, 8)",
        ),
    ] {
        let (message, peak) = read(&path, bytes);
        assert!(message.contains(expected), "{name}: {message}");
        assert!(peak < MOST, "{name}: {peak} MB");
    }
}
