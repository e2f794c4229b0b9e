use std::io::{self, BufRead, Seek};

use super::{
    PictureLimits,
    outline::{Outline, OutlineError, check_enough, contradiction, cut_short},
    source::Source,
};

/// The marker that ends a JPEG.
const END_OF_IMAGE: u8 = 0xd9;
/// The application segment of EXIF data.
const EXIF_SEGMENT: u8 = 0xe1;
const EXIF_NAME: &[u8] = b"Exif\0\0";

/// A block of 64 samples needs a bit in the first scan, however it is compressed.
const MOST_PIXELS_A_BYTE: u64 = 8 * 64;
/// Beyond this, data of more than eight bytes a pixel are not pixels.
const ROOM_FOR_EXTRAS: u64 = 32 << 20;
const MOST_BYTES_A_PIXEL: u64 = 8;

/// The structure of a JPEG up to its end-of-image marker. Decoders fill up a file that has none with grey, without an
/// error.
///
/// Walks the segments, so neither a thumbnail within one nor what phones append (such as a film) counts. Source: ITU-T
/// T.81, annex B.
pub(super) fn read(source: &mut Source<'_>) -> Result<Outline, OutlineError> {
    let mut outline = Outline::default();
    let mut has_frame = false;
    loop {
        let Some(marker) = next_marker(&mut source.reader)? else {
            return Err(cut_short("the JPEG's end marker is missing"));
        };
        if marker == END_OF_IMAGE {
            break;
        }
        let place = source.reader.stream_position()?;
        let length = u64::from(u16::from_be_bytes(segment(source.bytes())?));
        if starts_frame(marker) {
            let [_, h1, h0, w1, w0] = segment(source.bytes())?;
            let size = (
                u32::from(u16::from_be_bytes([w1, w0])),
                u32::from(u16::from_be_bytes([h1, h0])),
            );
            if has_frame && size != outline.size {
                return Err(contradiction("it has frames of different sizes"));
            }
            (outline.size, has_frame) = (size, true);
        } else if marker == EXIF_SEGMENT {
            let segment = source.some_bytes(length.saturating_sub(2))?;
            if let Some(exif) = segment.strip_prefix(EXIF_NAME) {
                outline.exif = Some(exif.to_vec());
            }
        }
        source.go_to(place + length.max(2))?;
    }
    if !has_frame {
        return Err(contradiction("it is a JPEG without a frame"));
    }
    outline.end = source.reader.stream_position()?;
    check_lengths(source.limits, &outline)?;
    Ok(outline)
}

fn check_lengths(limits: &PictureLimits, outline: &Outline) -> Result<(), OutlineError> {
    let (width, height) = outline.size;
    let pixels = u64::from(width) * u64::from(height);
    check_enough(
        limits,
        outline.size,
        outline.end,
        pixels / MOST_PIXELS_A_BYTE,
    )?;
    if outline.end > ROOM_FOR_EXTRAS + MOST_BYTES_A_PIXEL * pixels {
        return Err(contradiction(format!(
            "{} bytes are too many for {width} × {height} pixels",
            outline.end
        )));
    }
    Ok(())
}

/// The file cannot end within a segment.
fn segment<const N: usize>(read: io::Result<[u8; N]>) -> Result<[u8; N], OutlineError> {
    read.map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof => cut_short("the JPEG's end marker is missing"),
        _ => OutlineError::Read(cause),
    })
}

/// Goes behind the next marker that a length follows, or that ends the image: not a stuffed 0xFF of a scan's data, a fill
/// byte, a restart marker or the start of the image.
fn next_marker(reader: &mut impl BufRead) -> io::Result<Option<u8>> {
    while reader.skip_until(0xff)? > 0 {
        let Some(&byte) = reader.fill_buf()?.first() else {
            return Ok(None);
        };
        if byte == 0xff {
            continue;
        }
        reader.consume(1);
        if !matches!(byte, 0x00 | 0x01 | 0xd0..=0xd8) {
            return Ok(Some(byte));
        }
    }
    Ok(None)
}

/// Whether a segment gives the picture's size: every kind of frame, but not the tables whose markers lie among theirs.
fn starts_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture_file::{PictureFlaw, source::test_source};

    const START: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 0, 2];
    const END: &[u8] = &[0xff, 0xd9];
    /// A frame of 3 × 2.
    const FRAME: &[u8] = &[0xff, 0xc0, 0, 8, 8, 0, 2, 0, 3, 0];
    /// An empty scan header and data with a stuffed 0xFF, a fill byte and a restart marker.
    const SCAN: &[u8] = &[0xff, 0xda, 0, 2, 7, 0xff, 0x00, 0xff, 0xff, 0xd3];
    /// An application segment of four bytes that look like a whole JPEG.
    const THUMBNAIL: &[u8] = &[0xff, 0xe2, 0, 6, 0xff, 0xd8, 0xff, 0xd9];

    fn outline(parts: &[&[u8]]) -> Result<Outline, OutlineError> {
        test_source(&parts.concat(), read)
    }

    #[test]
    fn the_end_must_follow_the_scans() {
        for parts in [
            &[START, FRAME, SCAN, END][..],
            &[START, THUMBNAIL, FRAME, SCAN, SCAN, END],
            &[START, FRAME, SCAN, END, b"appended", SCAN],
        ] {
            let outline = outline(parts).unwrap();
            assert_eq!(outline.size, (3, 2), "{parts:x?}");
            let end = parts.iter().position(|part| *part == END).unwrap();
            assert_eq!(outline.end, parts[..=end].concat().len() as u64);
        }
        for parts in [
            &[START, FRAME, SCAN][..],
            &[START, THUMBNAIL, FRAME, SCAN],
            &[START, FRAME, SCAN, &[0xff]],
            &[START, &[0xff, 0xe1]],
            &[START],
        ] {
            assert!(
                matches!(
                    outline(parts),
                    Err(OutlineError::Flaw(PictureFlaw::CutShort { .. }))
                ),
                "{parts:x?}"
            );
        }
    }

    #[test]
    fn exif_is_found_and_other_application_segments_are_not_taken_for_it() {
        let exif = &[0xff, 0xe1, 0, 11, b'E', b'x', b'i', b'f', 0, 0, 1, 2, 3];
        let other = &[0xff, 0xe1, 0, 5, b'x', b'm', b'p'];
        let outline = outline(&[START, exif, other, FRAME, SCAN, END]).unwrap();
        assert_eq!(outline.exif, Some(vec![1, 2, 3]));
    }

    #[test]
    fn sizes_must_fit_the_length() {
        let huge = &[0xff, 0xc2, 0, 8, 8, 0x27, 0x10, 0x27, 0x10, 0];
        for parts in [
            &[START, huge, SCAN, END][..],
            &[START, SCAN, END],
            &[START, FRAME, huge, SCAN, END],
        ] {
            assert!(
                matches!(
                    outline(parts),
                    Err(OutlineError::Flaw(PictureFlaw::Contradiction { .. }))
                ),
                "{parts:x?}"
            );
        }
    }
}
