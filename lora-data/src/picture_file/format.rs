use super::PictureFlaw;

/// The formats that are decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Png,
    Jpeg,
    WebP,
    Bmp,
}

/// What to do about pictures of other formats.
const SAVE: &str = "save it as PNG or JPEG";
const REMOVE: &str = "remove it from the folder";
const AGAIN: &str = "download the picture itself again";

/// Bytes at a place near the start of files of other kinds, what those are and what to do about them. The first that
/// fits counts.
const FOREIGN: &[(usize, &[u8], &str, &str)] = &[
    (0, b"GIF87a", "a GIF", SAVE),
    (0, b"GIF89a", "a GIF", SAVE),
    (0, b"II*\0", "a TIFF or camera raw file", SAVE),
    (0, b"MM\0*", "a TIFF or camera raw file", SAVE),
    (0, b"II+\0", "a BigTIFF", SAVE),
    (0, b"MM\0+", "a BigTIFF", SAVE),
    (4, b"ftypheic", "HEIC", SAVE),
    (4, b"ftypheix", "HEIC", SAVE),
    (4, b"ftyphevc", "HEIC", SAVE),
    (4, b"ftypmif1", "HEIF", SAVE),
    (4, b"ftypmsf1", "HEIF", SAVE),
    (4, b"ftypavif", "AVIF", SAVE),
    (4, b"ftypavis", "AVIF", SAVE),
    (4, b"ftypcrx ", "a camera raw file", SAVE),
    (4, b"ftyp", "a film", REMOVE),
    (0, b"\x1a\x45\xdf\xa3", "a film", REMOVE),
    (0, b"8BPS", "a Photoshop document", SAVE),
    (0, b"\xff\x0a", "JPEG XL", SAVE),
    (4, b"JXL \r\n", "JPEG XL", SAVE),
    (4, b"jP  \r\n", "JPEG 2000", SAVE),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000", SAVE),
    (0, b"gimp xcf", "a GIMP document", SAVE),
    (0, b"\0\0\x01\0", "an icon", SAVE),
    (0, b"DDS ", "a DDS texture", SAVE),
    (0, b"qoif", "QOI", SAVE),
    (0, b"\x76\x2f\x31\x01", "OpenEXR", SAVE),
    (0, b"#?RADIANCE", "Radiance HDR", SAVE),
    (0, b"%PDF-", "a PDF", SAVE),
    (0, b"%!PS", "PostScript", SAVE),
    (0, b"PK\x03\x04", "a ZIP archive", "unpack it"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it"),
    (0, b"Rar!", "a RAR archive", "unpack it"),
    (0, b"7z\xbc\xaf", "a 7-Zip archive", "unpack it"),
    (
        0,
        b"version https://git-lfs",
        "a Git LFS pointer and not the picture",
        "fetch the pictures with `git lfs pull`",
    ),
    (0, b"RIFF", "a RIFF file of sound or film", REMOVE),
];

impl Format {
    /// Tells a file's format by its first bytes.
    ///
    /// # Errors
    /// With what the file is instead, so far as that is known.
    pub(super) fn recognise(head: &[u8]) -> Result<Self, PictureFlaw> {
        let has = |at: usize, bytes: &[u8]| head.get(at..).is_some_and(|it| it.starts_with(bytes));
        if has(0, b"\x89PNG\r\n\x1a\n") {
            Ok(Self::Png)
        } else if has(0, b"\xff\xd8\xff") {
            Ok(Self::Jpeg)
        } else if has(0, b"RIFF") && has(8, b"WEBP") {
            Ok(Self::WebP)
        } else if has(0, b"BM") && has_bmp_header(head) {
            Ok(Self::Bmp)
        } else if let Some((.., what, advice)) = FOREIGN.iter().find(|it| has(it.0, it.1)) {
            Err(PictureFlaw::Foreign { what, advice })
        } else {
            Err(text_or_unknown(head))
        }
    }
}

/// Whether the length of a bitmap header follows, one of those that there are; a text may start with "BM" too.
fn has_bmp_header(head: &[u8]) -> bool {
    matches!(
        head.get(14..18),
        Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])
    )
}

fn text_or_unknown(head: &[u8]) -> PictureFlaw {
    let foreign = |what, advice| PictureFlaw::Foreign { what, advice };
    if head.iter().all(|&byte| byte == 0) {
        let advice = "copy or download it again";
        return foreign("nothing but zeros, a copy that was never finished", advice);
    }
    let Some(text) = text(head) else {
        let start = head.iter().take(8).map(|byte| format!("{byte:02x}"));
        return PictureFlaw::Unknown {
            start: start.collect::<Vec<_>>().join(" "),
        };
    };
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let text = text.to_ascii_lowercase();
    if text.starts_with("<!doctype html") || text.starts_with("<html") || text.contains("<head") {
        foreign("a web page", AGAIN)
    } else if text.contains("<svg") {
        foreign("an SVG drawing", SAVE)
    } else {
        foreign("text", REMOVE)
    }
}

/// The head as text, when it is text: UTF-8, of which the last character may be cut, without control characters.
fn text(head: &[u8]) -> Option<&str> {
    let text = match str::from_utf8(head) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() => {
            str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |char: char| !char.is_control() || char.is_ascii_whitespace();
    (!text.is_empty() && text.chars().all(is_text)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let bmp = |length: u8| [b"BM", &[0; 12][..], &[length, 0, 0, 0]].concat();
        for (head, format) in [
            (b"\x89PNG\r\n\x1a\n".to_vec(), Format::Png),
            (b"\xff\xd8\xff\xe0".to_vec(), Format::Jpeg),
            (b"RIFF\0\0\0\0WEBPVP8 ".to_vec(), Format::WebP),
            (bmp(40), Format::Bmp),
            (bmp(12), Format::Bmp),
        ] {
            assert_eq!(Format::recognise(&head), Ok(format));
        }
        assert!(Format::recognise(&bmp(41)).is_err());
    }

    #[test]
    fn other_files_are_called_by_their_names() {
        for (head, what) in [
            (&b"GIF89a\x01\0"[..], "a GIF"),
            (b"\0\0\0\x18ftypheic\0\0", "HEIC"),
            (b"\0\0\0\x18ftypisom\0\0", "a film"),
            (b"RIFF\0\0\0\0WAVEfmt ", "a RIFF file of sound or film"),
            (b"\n <!DOCTYPE html><html>", "a web page"),
            (b"<?xml version=\"1.0\"?><svg>", "an SVG drawing"),
            (b"BMW is a car", "text"),
            ("词语".as_bytes(), "text"),
            (&"词语".as_bytes()[..5], "text"),
            (
                &[0; 32],
                "nothing but zeros, a copy that was never finished",
            ),
        ] {
            match Format::recognise(head) {
                Err(PictureFlaw::Foreign { what: found, .. }) => assert_eq!(found, what),
                other => panic!("{head:?}: {other:?}"),
            }
        }
        assert_eq!(
            Format::recognise(&[1, 2, 0xfe, 3]),
            Err(PictureFlaw::Unknown {
                start: "01 02 fe 03".into()
            })
        );
    }
}
