use super::{
    outline::{LONGEST_EXTRA, Outline, OutlineError, contradiction, cut_short},
    source::Source,
};

/// Name and length before a chunk's data.
const CHUNK_HEADER: u64 = 8;
/// A frame's place, size and duration before its chunks.
const FRAME_HEADER: u64 = 16;
const ANIMATION_FLAG: u8 = 2;

/// A chunk's name and where its data are.
#[derive(Clone, Copy)]
struct Chunk {
    name: [u8; 4],
    start: u64,
    length: u64,
}

impl Chunk {
    fn end(self) -> u64 {
        self.start + self.length
    }

    /// Chunks start at even places.
    fn next(self) -> u64 {
        self.end() + self.length % 2
    }
}

/// The structure of a WebP. Source: Google's WebP container specification, RFC 9649.
pub(super) fn read(source: &mut Source<'_>) -> Result<Outline, OutlineError> {
    let riff = chunk_at(source, 0)?;
    if riff.end() > source.length {
        return Err(cut_short(format!(
            "it has {} bytes of the {} that its header speaks of",
            source.length,
            riff.end()
        )));
    }
    let mut outline = Outline {
        end: source.length,
        ..Outline::default()
    };
    let first = chunk_at(source, riff.start + 4)?;
    match &first.name {
        b"VP8 " => outline.size = lossy_size(source, first)?,
        b"VP8L" => outline.size = lossless_size(source, first)?,
        b"VP8X" => extended(source, first, riff.end(), &mut outline)?,
        _ => return Err(contradiction("it is a WebP without a picture")),
    }
    check_within(first, riff.end())?;
    Ok(outline)
}

/// Canvas, EXIF data and colour profile of the extended format. A picture larger than its canvas would be unpacked
/// before the decoder finds that out.
fn extended(
    source: &mut Source<'_>,
    header: Chunk,
    riff_end: u64,
    outline: &mut Outline,
) -> Result<(), OutlineError> {
    source.go_to(header.start)?;
    let [flags, _, _, _, w0, w1, w2, h0, h1, h2] = source.bytes()?;
    let number = |low, middle, high| u32::from_le_bytes([low, middle, high, 0]) + 1;
    outline.size = (number(w0, w1, w2), number(h0, h1, h2));
    outline.animated = flags & ANIMATION_FLAG != 0;
    let mut place = header.next();
    // The decoder looks at what follows the declared end as well.
    while place + CHUNK_HEADER <= source.length {
        let chunk = chunk_at(source, place)?;
        if place < riff_end {
            check_within(chunk, riff_end)?;
        }
        if &chunk.name == b"ANMF" {
            check_frame(source, chunk, outline.size)?;
        }
        check_canvas(source, chunk, outline.size)?;
        match &chunk.name {
            b"EXIF" if outline.exif.is_none() => outline.exif = extra(source, chunk)?,
            b"ICCP" if outline.colour_profile.is_none() => {
                outline.colour_profile = extra(source, chunk)?;
            }
            _ => {}
        }
        place = chunk.next();
    }
    Ok(())
}

/// Checks the pictures of an animation's frame.
fn check_frame(
    source: &mut Source<'_>,
    frame: Chunk,
    canvas: (u32, u32),
) -> Result<(), OutlineError> {
    let mut place = frame.start + FRAME_HEADER;
    while place + CHUNK_HEADER <= frame.end() {
        let chunk = chunk_at(source, place)?;
        check_within(chunk, frame.end())?;
        check_canvas(source, chunk, canvas)?;
        place = chunk.next();
    }
    Ok(())
}

/// Checks that a chunk holds no picture larger than the canvas.
fn check_canvas(
    source: &mut Source<'_>,
    chunk: Chunk,
    canvas: (u32, u32),
) -> Result<(), OutlineError> {
    let (width, height) = match &chunk.name {
        b"VP8 " => lossy_size(source, chunk)?,
        b"VP8L" => lossless_size(source, chunk)?,
        _ => return Ok(()),
    };
    if width > canvas.0 || height > canvas.1 {
        return Err(contradiction(format!(
            "it holds {width} × {height} pixels, more than the {} × {} of its header",
            canvas.0, canvas.1
        )));
    }
    Ok(())
}

/// Source: RFC 6386, section 9.1.
fn lossy_size(source: &mut Source<'_>, chunk: Chunk) -> Result<(u32, u32), OutlineError> {
    source.go_to(chunk.start)?;
    let [_, _, _, c0, c1, c2, w0, w1, h0, h1] = source.bytes()?;
    if [c0, c1, c2] != [0x9d, 0x01, 0x2a] {
        return Err(contradiction("its VP8 chunk holds no key frame"));
    }
    let number = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
    Ok((number(w0, w1), number(h0, h1)))
}

/// Source: RFC 9649, section 3.4.
fn lossless_size(source: &mut Source<'_>, chunk: Chunk) -> Result<(u32, u32), OutlineError> {
    source.go_to(chunk.start)?;
    let [signature, sizes @ ..] = source.bytes::<5>()?;
    if signature != 0x2f {
        return Err(contradiction("its VP8L chunk does not start as one"));
    }
    let sizes = u32::from_le_bytes(sizes);
    Ok(((sizes & 0x3fff) + 1, (sizes >> 14 & 0x3fff) + 1))
}

fn chunk_at(source: &mut Source<'_>, place: u64) -> Result<Chunk, OutlineError> {
    source.go_to(place)?;
    let [n0, n1, n2, n3, length @ ..] = source.bytes::<8>()?;
    Ok(Chunk {
        name: [n0, n1, n2, n3],
        start: place + CHUNK_HEADER,
        length: u64::from(u32::from_le_bytes(length)),
    })
}

fn check_within(chunk: Chunk, end: u64) -> Result<(), OutlineError> {
    if chunk.end() > end {
        return Err(contradiction(format!(
            "its {} chunk is of {} bytes, more than follow",
            chunk.name.escape_ascii(),
            chunk.length
        )));
    }
    Ok(())
}

/// EXIF data or a colour profile, unless too long to be one. Some writers put JPEG's name before EXIF data.
fn extra(source: &mut Source<'_>, chunk: Chunk) -> Result<Option<Vec<u8>>, OutlineError> {
    if chunk.length > LONGEST_EXTRA {
        return Ok(None);
    }
    source.go_to(chunk.start)?;
    let mut bytes = source.some_bytes(chunk.length)?;
    if bytes.starts_with(b"Exif\0\0") {
        bytes.drain(..6);
    }
    Ok(Some(bytes))
}
