//! The contact sheet of prepared pictures as one PNG, written row by row.

use std::{io::Write, path::Path};

use image::{
    RgbImage,
    imageops::{FilterType, resize},
};
use lora_data::{
    DecodeOptions, decode_picture,
    prepare::{PrepareReport, PreparedPicture, PreparedState},
};
use png::{BitDepth, ColorType, Encoder};

use super::{
    SheetError,
    canvas::Canvas,
    contact_words::{fate, method},
    label::{elide_end, elide_middle},
    palette::{HELD_OUT, INK, LOSS, MUTED, PAPER, RULE},
    sheet::write_band,
    typeface::Typeface,
};

/// The side of the square that a thumbnail fits into, in pixels.
const SIDE: u32 = 160;
/// Between the two thumbnails of a picture, and around each pair.
const GAP: u32 = 12;
const CELL: (u32, u32) = (2 * SIDE + GAP, SIDE + 44);
const HEAD: u32 = 78;
/// Picture viewers do not open longer sheets.
const ROWS: usize = 70;
/// So many pictures a sheet shows; its page shows more.
const MOST: usize = 2000;

/// Writes the sheet: each picture with what is cut off in the dark, and what was made of it beside it. Gives how many
/// pictures it had no room for.
///
/// # Errors
/// [`SheetError`] when the PNG cannot be written. A picture without a thumbnail is an empty square.
pub fn write_contact_sheet(
    report: &PrepareReport,
    title: &str,
    writer: impl Write,
) -> Result<usize, SheetError> {
    let all: Vec<&PreparedPicture> = report
        .pictures
        .iter()
        .filter(|one| !matches!(one.state, PreparedState::Failed { .. }))
        .collect();
    let shown = &all[..all.len().min(MOST)];
    let columns = columns(shown.len());
    let (across, down) = (CELL.0 + 2 * GAP, CELL.1 + GAP);
    let width = columns as u32 * across;
    let rows: Vec<&[&PreparedPicture]> = shown.chunks(columns).collect();
    let height = HEAD + rows.len() as u32 * down + GAP;
    let mut encoder = Encoder::new(writer, width, height);
    encoder.set_color(ColorType::Rgb);
    encoder.set_depth(BitDepth::Eight);
    let mut png = encoder.write_header()?;
    let mut stream = png.stream_writer()?;
    write_band(&mut stream, &head(report, title, width).into_image())?;
    for row in rows {
        let mut band = Canvas::new(width, down, PAPER);
        for (column, picture) in row.iter().enumerate() {
            draw(&mut band, picture, column as u32 * across + GAP);
        }
        write_band(&mut stream, &band.into_image())?;
    }
    write_band(&mut stream, &Canvas::new(width, GAP, PAPER).into_image())?;
    stream.finish()?;
    png.finish()?;
    Ok(all.len() - shown.len())
}

/// About as wide as high, but no longer than picture viewers open.
fn columns(pictures: usize) -> usize {
    let square = (pictures as f64 * 0.6).sqrt().round() as usize;
    square.max(pictures.div_ceil(ROWS)).clamp(2, 40)
}

fn head(report: &PrepareReport, title: &str, width: u32) -> Canvas {
    let mut head = Canvas::new(width, HEAD, PAPER);
    let room = (width - 2 * GAP) as f32;
    let (bold, plain) = (Typeface::bold(26.0), Typeface::regular(16.0));
    let title = elide_end(bold, title, room);
    head.text(bold, &title, GAP as f32, 14.0, INK);
    let made = report
        .pictures
        .iter()
        .filter(|one| one.cut.is_some())
        .count();
    let lead = format!("{} pictures, {made} made", report.pictures.len());
    head.text(
        plain,
        &elide_end(plain, &lead, room),
        GAP as f32,
        46.0,
        MUTED,
    );
    head
}

fn draw(band: &mut Canvas, picture: &PreparedPicture, left: u32) {
    let after = left + SIDE + GAP;
    match thumbnail(picture.before.as_deref()) {
        Some(mut before) => {
            darken(&mut before, picture);
            let (x, y) = middle(&before, left);
            band.paste(&before, x, y);
        }
        None => band.fill(left, 0, SIDE, SIDE, RULE),
    }
    if let Some(made) = thumbnail(picture.after.as_deref()) {
        let (x, y) = middle(&made, after);
        band.paste(&made, x, y);
    }
    let (bold, plain) = (Typeface::bold(14.0), Typeface::regular(13.0));
    let room = CELL.0 as f32;
    let name = elide_middle(bold, &picture.picture, room);
    band.text(bold, &name, left as f32, SIDE as f32 + 6.0, INK);
    let (words, colour) = words(picture);
    let words = elide_end(plain, &words, room);
    band.text(plain, &words, left as f32, SIDE as f32 + 23.0, colour);
}

/// What became of it; what somebody should look at stands out.
fn words(picture: &PreparedPicture) -> (String, image::Rgb<u8>) {
    let size = picture.survey.as_ref().map_or((0, 0), |survey| survey.size);
    let made = picture.cut.as_ref().map_or(String::new(), |cut| {
        format!(" → {}×{}, {}", cut.size.0, cut.size.1, method(cut.method))
    });
    let words = format!("{}×{}{made}", size.0, size.1);
    let fate = fate(&picture.state);
    let marks = [
        fate,
        picture.small.then(|| "small".to_owned()),
        picture.blurred.then(|| "blurred".to_owned()),
    ];
    let marks: Vec<String> = marks.into_iter().flatten().collect();
    if marks.is_empty() {
        return (words, MUTED);
    }
    (format!("{words}; {}", marks.join(", ")), HELD_OUT)
}

fn thumbnail(path: Option<&Path>) -> Option<RgbImage> {
    let decoded = decode_picture(path?, &DecodeOptions::default()).ok()?;
    let picture = decoded.picture;
    let longer = picture.width().max(picture.height());
    if longer <= SIDE {
        return Some(picture);
    }
    let side =
        |side: u32| ((f64::from(side) * f64::from(SIDE) / f64::from(longer)).round() as u32).max(1);
    let (width, height) = (side(picture.width()), side(picture.height()));
    Some(resize(&picture, width, height, FilterType::CatmullRom))
}

/// Where a thumbnail lies in its square, which begins at `left`.
fn middle(thumbnail: &RgbImage, left: u32) -> (u32, u32) {
    (
        left + (SIDE - thumbnail.width()) / 2,
        (SIDE - thumbnail.height()) / 2,
    )
}

/// Darkens what is cut off, and draws a line around what is kept.
fn darken(thumbnail: &mut RgbImage, picture: &PreparedPicture) {
    let (Some(cut), Some(survey)) = (&picture.cut, &picture.survey) else {
        return;
    };
    let scale = |place: u32, size: u32, shown: u32| {
        (f64::from(place) * f64::from(shown) / f64::from(size.max(1))).round() as u32
    };
    let (frame, size, shown) = (cut.frame, survey.size, thumbnail.dimensions());
    let across =
        scale(frame.left, size.0, shown.0)..scale(frame.left + frame.width, size.0, shown.0);
    let down = scale(frame.top, size.1, shown.1)..scale(frame.top + frame.height, size.1, shown.1);
    for (x, y, pixel) in thumbnail.enumerate_pixels_mut() {
        if !across.contains(&x) || !down.contains(&y) {
            pixel.0 = pixel.0.map(|byte| byte / 5 * 2);
        } else if x < across.start + 2
            || x + 2 >= across.end
            || y < down.start + 2
            || y + 2 >= down.end
        {
            *pixel = LOSS;
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn report(folder: &Path, names: &[&str]) -> PrepareReport {
        let picture = |name: &&str| -> PreparedPicture {
            let before = folder.join(format!("{name}-before.png"));
            let after = folder.join(format!("{name}-after.png"));
            RgbImage::from_pixel(80, 40, Rgb([200, 0, 0]))
                .save(&before)
                .expect("saved");
            RgbImage::from_pixel(40, 40, Rgb([0, 200, 0]))
                .save(&after)
                .expect("saved");
            PreparedPicture {
                before: Some(before),
                after: Some(after),
                ..crate::picture::page::tests::prepared(name)
            }
        };
        PrepareReport {
            input: "in".into(),
            output: "out".into(),
            pictures: names.iter().map(picture).collect(),
            duplicates: Vec::new(),
            gone: Vec::new(),
            pruned: Vec::new(),
            left: 0,
        }
    }

    fn drawn(report: &PrepareReport) -> (RgbImage, usize) {
        let mut bytes = Vec::new();
        let left_out = write_contact_sheet(report, "title", &mut bytes).expect("written");
        (
            image::load_from_memory(&bytes).expect("a PNG").into_rgb8(),
            left_out,
        )
    }

    fn count(image: &RgbImage, colour: [u8; 3]) -> usize {
        image.pixels().filter(|pixel| pixel.0 == colour).count()
    }

    #[test]
    fn what_is_cut_off_is_dark_and_what_was_made_stands_beside_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let (image, left_out) = drawn(&report(folder.path(), &["a", "b", "c"]));
        assert_eq!((image.width(), left_out), (2 * (CELL.0 + 2 * GAP), 0));
        // The frame of a thumbnail of 80 × 40 is its middle of 40 × 40, two pixels of which are the line.
        assert_eq!(count(&image, [200, 0, 0]), 3 * 36 * 36);
        assert_eq!(count(&image, [80, 0, 0]), 3 * 40 * 40);
        assert_eq!(count(&image, [0, 200, 0]), 3 * 40 * 40);
    }

    #[test]
    fn thousands_of_pictures_stay_within_what_viewers_open() {
        for pictures in [1, 5, 60, 1000, MOST] {
            let rows = pictures.div_ceil(columns(pictures)) as u32;
            let height = HEAD + rows * (CELL.1 + GAP) + GAP;
            let width = columns(pictures) as u32 * (CELL.0 + 2 * GAP);
            assert!(
                height.max(width) <= 16_384,
                "{pictures}: {width} × {height}"
            );
        }
    }

    #[test]
    fn a_picture_without_a_thumbnail_is_an_empty_square() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut report = report(folder.path(), &["a"]);
        report.pictures[0].before = Some("nowhere.jpg".into());
        let (image, _) = drawn(&report);
        assert_eq!(count(&image, RULE.0), (SIDE * SIDE) as usize);
    }
}
