use fast_image_resize::{
    FilterType, PixelType, ResizeAlg, ResizeError, ResizeOptions, Resizer,
    images::{Image, ImageRef},
};
use image::RgbImage;

/// About how many bytes of the padded picture are there at a time.
const STRIP_BYTES: usize = 4 << 20;

const CHANNELS: usize = 3;
const WHITE: u8 = 255;

/// The picture in the middle of a white square, resized to `size` × `size`, as SmilingWolf's space wd-tagger has it:
/// Pillow's `BICUBIC` (Catmull-Rom, widened when shrinking) on the whole square.
///
/// The square is never there as a whole: as in Pillow, rows are resized first and then columns, and here the rows are
/// padded a strip at a time. So a picture of 20,000 × 100 pixels does not ask for 1.2 GB.
///
/// # Errors
/// When the resizer refuses the picture's dimensions.
pub(super) fn padded_square(picture: &RgbImage, size: u32) -> Result<RgbImage, ResizeError> {
    let (width, height) = picture.dimensions();
    let side = width.max(height);
    let row = size as usize * CHANNELS;
    let mut column = vec![WHITE; side as usize * row];
    let top = ((side - height) / 2) as usize * row;
    let rows = column[top..].chunks_exact_mut(row);
    let strip_rows = (STRIP_BYTES / (side as usize * CHANNELS)).max(1);
    let mut rows = rows.take(height as usize);
    for strip in picture
        .as_raw()
        .chunks(strip_rows * width as usize * CHANNELS)
    {
        let narrow = narrowed(strip, width, side, size)?;
        for (source, target) in narrow.chunks_exact(row).zip(rows.by_ref()) {
            target.copy_from_slice(source);
        }
    }
    let square = resized(&column, (size, side), (size, size))?;
    Ok(RgbImage::from_raw(size, size, square).unwrap_or_default())
}

/// Rows of `width` pixels, padded to `side` and resized to `size`.
fn narrowed(strip: &[u8], width: u32, side: u32, size: u32) -> Result<Vec<u8>, ResizeError> {
    let (from, to) = (width as usize * CHANNELS, side as usize * CHANNELS);
    let left = ((side - width) / 2) as usize * CHANNELS;
    let rows = strip.len() / from;
    let mut padded = vec![WHITE; rows * to];
    for (target, source) in padded.chunks_exact_mut(to).zip(strip.chunks_exact(from)) {
        target[left..left + from].copy_from_slice(source);
    }
    let rows = rows as u32;
    resized(&padded, (side, rows), (size, rows))
}

fn resized(bytes: &[u8], from: (u32, u32), to: (u32, u32)) -> Result<Vec<u8>, ResizeError> {
    let source = ImageRef::new(from.0, from.1, bytes, PixelType::U8x3)
        .map_err(|_| ResizeError::PixelTypesAreDifferent)?;
    let mut target = Image::new(to.0, to.1, PixelType::U8x3);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom));
    Resizer::new().resize(&source, &mut target, &options)?;
    Ok(target.into_vec())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use image::Rgb;

    use super::*;
    use crate::picture_file;

    #[test]
    fn a_square_of_the_size_stays_bit_for_bit() {
        let picture = RgbImage::from_fn(24, 24, |x, y| Rgb([x as u8 * 9, y as u8 * 9, 77]));
        assert_eq!(padded_square(&picture, 24).unwrap(), picture);
    }

    #[test]
    fn the_picture_stands_in_the_middle_of_white_with_the_odd_pixel_behind_it() {
        let black = Rgb([0, 0, 0]);
        for (width, height) in [(3, 8), (8, 3)] {
            let square = padded_square(&RgbImage::from_pixel(width, height, black), 8).unwrap();
            for (x, y, pixel) in square.enumerate_pixels() {
                let is_inside = if width == 3 {
                    (2..5).contains(&x)
                } else {
                    (2..5).contains(&y)
                };
                let expected = if is_inside { black } else { Rgb([255; 3]) };
                assert_eq!(*pixel, expected, "{width}×{height}: {x}, {y}");
            }
        }
    }

    /// Recorded by testdata/tagger/make.py: enlarged, shrunk over white, and far from square.
    #[test]
    fn pictures_equal_pillows_to_one_level() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata/tagger");
        for (name, size) in [("cat", 192), ("shapes", 96), ("strip", 64)] {
            let picture = picture_file::decode(&folder.join(format!("{name}.png"))).unwrap();
            let square = padded_square(&picture, size).unwrap();
            let recorded = folder.join(format!("{name}.pillow{size}.png"));
            let expected = picture_file::decode(&recorded).unwrap();
            assert_eq!(square.dimensions(), expected.dimensions());
            let pairs = square.as_raw().iter().zip(expected.as_raw());
            let worst = pairs.map(|(one, other)| one.abs_diff(*other)).max();
            assert!(worst <= Some(1), "{name}: {worst:?} levels");
        }
    }

    #[test]
    fn strips_do_not_show() {
        // 4 MiB hold 699 rows of 2,000 pixels.
        let picture = RgbImage::from_fn(900, 2000, |x, y| {
            Rgb([(x % 256) as u8, (y % 256) as u8, ((x * y) % 256) as u8])
        });
        let square = padded_square(&picture, 100).unwrap();
        let mut canvas = RgbImage::from_pixel(2000, 2000, Rgb([255; 3]));
        image::imageops::replace(&mut canvas, &picture, 550, 0);
        let rows = resized(canvas.as_raw(), (2000, 2000), (100, 2000)).unwrap();
        let whole = resized(&rows, (100, 2000), (100, 100)).unwrap();
        let pairs = square.as_raw().iter().zip(&whole);
        assert_eq!(
            pairs.map(|(one, other)| one.abs_diff(*other)).max(),
            Some(0)
        );
    }
}
