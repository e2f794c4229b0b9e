use super::{
    outline::{LONGEST_EXTRA, Outline, OutlineError, check_enough, contradiction, cut_short},
    source::Source,
};

/// Deflate packs at most this many bytes into one.
const MOST_UNPACKED: u64 = 1032;
const SIGNATURE: u64 = 8;
/// Length, name and checksum of a chunk.
const AROUND_CHUNK: u64 = 12;

/// The structure of a PNG up to its end chunk. Source: PNG specification, third edition, sections 5 and 11.
pub(super) fn read(source: &mut Source<'_>) -> Result<Outline, OutlineError> {
    let mut outline = Outline::default();
    let mut place = SIGNATURE;
    let (mut least, mut stored) = (0, 0);
    loop {
        source.go_to(place)?;
        if place + AROUND_CHUNK > source.length {
            return Err(cut_short("the PNG's end chunk is missing"));
        }
        let [l3, l2, l1, l0, name @ ..] = source.bytes::<8>()?;
        let length = u64::from(u32::from_be_bytes([l3, l2, l1, l0]));
        if (place == SIGNATURE) != (&name == b"IHDR") {
            return Err(contradiction(
                "its header is not its first chunk, or not its only one",
            ));
        }
        if place + AROUND_CHUNK + length > source.length {
            return Err(cut_short(format!(
                "its {} chunk is of {length} bytes, more than follow",
                name.escape_ascii()
            )));
        }
        match &name {
            b"IHDR" => (outline.size, least) = header(source.bytes()?),
            b"IDAT" => stored += length,
            b"acTL" => outline.animated = true,
            b"eXIf" if length <= LONGEST_EXTRA => outline.exif = Some(source.some_bytes(length)?),
            _ => {}
        }
        place += AROUND_CHUNK + length;
        if &name == b"IEND" {
            break;
        }
    }
    outline.end = place;
    check_enough(
        source.limits,
        outline.size,
        stored,
        least.div_ceil(MOST_UNPACKED),
    )?;
    Ok(outline)
}

/// The size of the picture, and at least how many bytes its data unpack to.
fn header([w3, w2, w1, w0, h3, h2, h1, h0, bits, colours]: [u8; 10]) -> ((u32, u32), u64) {
    let width = u32::from_be_bytes([w3, w2, w1, w0]);
    let height = u32::from_be_bytes([h3, h2, h1, h0]);
    let channels = match colours {
        2 => 3,
        4 => 2,
        6 => 4,
        _ => 1,
    };
    let row = (u64::from(width) * channels * u64::from(bits)).div_ceil(8);
    ((width, height), row.saturating_mul(u64::from(height)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture_file::{PictureFlaw, source::test_source};

    fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
        let length = (data.len() as u32).to_be_bytes();
        [&length[..], &name, data, &[0; 4]].concat()
    }

    fn png(width: u32, chunks: &[Vec<u8>]) -> Vec<u8> {
        let size = [width.to_be_bytes(), 5_u32.to_be_bytes()].concat();
        let header = chunk(*b"IHDR", &[&size[..], &[8, 2, 0, 0, 0]].concat());
        [&b"\x89PNG\r\n\x1a\n"[..], &header, &chunks.concat()].concat()
    }

    #[test]
    fn chunks_are_walked_to_the_end() {
        let chunks = [
            chunk(*b"acTL", &[0; 8]),
            chunk(*b"IDAT", &[0; 9]),
            chunk(*b"eXIf", &[1, 2]),
            chunk(*b"IEND", &[]),
        ];
        let bytes = png(7, &chunks);
        let expected = Outline {
            size: (7, 5),
            end: bytes.len() as u64,
            exif: Some(vec![1, 2]),
            colour_profile: None,
            animated: true,
        };
        let appended = [&bytes[..], b"more"].concat();
        assert_eq!(test_source(&appended, read).unwrap(), expected);
        for end in 8..bytes.len() {
            assert!(
                matches!(
                    test_source(&bytes[..end], read),
                    Err(OutlineError::Flaw(PictureFlaw::CutShort { .. }))
                ),
                "cut at {end}"
            );
        }
    }

    #[test]
    fn a_size_that_the_data_cannot_hold_is_a_lie() {
        let chunks = [chunk(*b"IDAT", &[0; 9]), chunk(*b"IEND", &[])];
        // 9 × 1032 bytes are 619 pixels in five rows.
        assert!(test_source(&png(619, &chunks), read).is_ok());
        assert!(matches!(
            test_source(&png(620, &chunks), read),
            Err(OutlineError::Flaw(PictureFlaw::Contradiction { .. }))
        ));
    }
}
