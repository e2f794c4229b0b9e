/// The marker that ends a JPEG.
const END_OF_IMAGE: u8 = 0xd9;

/// Whether a JPEG goes on to its end-of-image marker. Decoders fill up a file that does not with grey, without an error.
///
/// Walks the segments, so neither a thumbnail within one nor what phones append (such as a film) counts. Source: ITU-T
/// T.81, annex B.
pub(crate) fn has_end_of_image(jpeg: &[u8]) -> bool {
    let mut rest = jpeg;
    while let Some(at) = rest.windows(2).position(starts_segment) {
        if rest[at + 1] == END_OF_IMAGE {
            return true;
        }
        let Some(&[high, low]) = rest.get(at + 2..at + 4) else {
            return false;
        };
        let length = usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(at + 2 + length..).unwrap_or_default();
    }
    false
}

/// Whether two bytes are a marker that a length follows, or the end: not a stuffed 0xFF of a scan's data, a fill byte, a
/// restart marker or the start of the image.
fn starts_segment(pair: &[u8]) -> bool {
    matches!(pair, [0xff, marker] if !matches!(marker, 0x00 | 0x01 | 0xd0..=0xd8 | 0xff))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: [u8; 2] = [0xff, 0xd8];
    const END: [u8; 2] = [0xff, 0xd9];
    /// An empty scan header and data with a stuffed 0xFF and a restart marker.
    const SCAN: [u8; 9] = [0xff, 0xda, 0, 2, 7, 0xff, 0x00, 0xff, 0xd3];
    /// An application segment of four bytes that look like a whole JPEG.
    const THUMBNAIL: [u8; 8] = [0xff, 0xe1, 0, 6, 0xff, 0xd8, 0xff, 0xd9];

    #[test]
    fn the_end_must_follow_the_scans() {
        for parts in [
            &[&START[..], &SCAN, &END][..],
            &[&START, &THUMBNAIL, &SCAN, &SCAN, &END],
            &[&START, &SCAN, &END, b"appended", &SCAN],
        ] {
            assert!(has_end_of_image(&parts.concat()), "{parts:x?}");
        }
        for parts in [
            &[&START[..], &SCAN][..],
            &[&START, &THUMBNAIL, &SCAN],
            &[&START, &[0xff, 0xe1]],
            &[],
        ] {
            assert!(!has_end_of_image(&parts.concat()), "{parts:x?}");
        }
    }
}
