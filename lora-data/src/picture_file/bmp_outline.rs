use super::{
    outline::{Outline, OutlineError, check_enough, contradiction, cut_short},
    source::Source,
};

/// Two bytes repeat a pixel up to 255 times; the ends of rows and jumps leave room for more.
const MOST_PIXELS_A_BYTE: u64 = 1024;

/// Where the pixels of a bitmap without compression are said to start, and how they are stored.
struct Header {
    size: (u32, u32),
    bits: u64,
    compressed: bool,
}

/// The header of a bitmap, and whether the file is long enough for it. Source: Microsoft's BITMAPINFOHEADER.
pub(super) fn read(source: &mut Source<'_>) -> Result<Outline, OutlineError> {
    source.go_to(10)?;
    let start = u64::from(u32::from_le_bytes(source.bytes()?));
    let Header {
        size,
        bits,
        compressed,
    } = match u32::from_le_bytes(source.bytes()?) {
        12 => old_header(source.bytes()?),
        _ => header(source.bytes()?)?,
    };
    // Rows are filled up to four bytes.
    let row = (u64::from(size.0) * bits).div_ceil(32) * 4;
    let needed = start.saturating_add(row.saturating_mul(u64::from(size.1)));
    if !compressed && needed > source.length {
        return Err(cut_short(format!(
            "it has {} bytes of the {needed} that its header speaks of",
            source.length
        )));
    }
    if compressed {
        let pixels = u64::from(size.0) * u64::from(size.1);
        check_enough(
            source.limits,
            size,
            source.length,
            pixels / MOST_PIXELS_A_BYTE,
        )?;
    }
    Ok(Outline {
        size,
        end: source.length,
        ..Outline::default()
    })
}

fn old_header([w0, w1, h0, h1, _, _, b0, b1]: [u8; 8]) -> Header {
    let number = |low, high| u16::from_le_bytes([low, high]);
    Header {
        size: (u32::from(number(w0, w1)), u32::from(number(h0, h1))),
        bits: u64::from(number(b0, b1)),
        compressed: false,
    }
}

/// A negative height means that the first row is the upper one.
fn header(
    [w0, w1, w2, w3, h0, h1, h2, h3, _, _, b0, b1, c0, c1, c2, c3]: [u8; 16],
) -> Result<Header, OutlineError> {
    let width = i32::from_le_bytes([w0, w1, w2, w3]);
    let height = i32::from_le_bytes([h0, h1, h2, h3]);
    let width = u32::try_from(width)
        .map_err(|_| contradiction(format!("it says that it is {width} pixels wide")))?;
    Ok(Header {
        size: (width, height.unsigned_abs()),
        bits: u64::from(u16::from_le_bytes([b0, b1])),
        // Run lengths of 8 and of 4 bits; what else there is stores every pixel, or is not decoded.
        compressed: matches!(u32::from_le_bytes([c0, c1, c2, c3]), 1 | 2),
    })
}
