//! Measures, lines and typefaces of a loss curve, in pixels of the finished picture.

use image::Rgb;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::picture::palette::RATE;

/// Drawn this many times larger and then scaled down, because plotters places everything on whole pixels.
pub(in crate::picture) const OVERSAMPLING: u32 = 2;

/// Around the whole picture.
pub(super) const MARGIN: u32 = 28;
/// The size of the title.
pub(super) const HEADING: u32 = 30;
/// The size of the labels at the axes and in the legend.
pub(super) const LABEL: u32 = 18;
/// The size of the names of saved files.
pub(super) const MARKER: u32 = 15;

/// Pixels of the canvas in so many pixels of the finished picture.
pub(super) fn px(length: u32) -> i32 {
    (length * OVERSAMPLING) as i32
}

/// The size of a typeface on the canvas.
pub(super) fn size(size: u32) -> f32 {
    (size * OVERSAMPLING) as f32
}

/// A colour of the palette, for plotters.
pub(super) fn rgb(Rgb([red, green, blue]): Rgb<u8>) -> RGBColor {
    RGBColor(red, green, blue)
}

/// A solid line.
pub(super) fn line(colour: Rgb<u8>, width: u32) -> ShapeStyle {
    rgb(colour).stroke_width(width * OVERSAMPLING)
}

/// A line that stays behind the others.
pub(super) fn faint(colour: Rgb<u8>) -> ShapeStyle {
    rgb(colour).mix(0.28).stroke_width(OVERSAMPLING)
}

/// The line of the learning rate.
pub(super) fn rate() -> ShapeStyle {
    rgb(RATE).mix(0.8).stroke_width(2 * OVERSAMPLING)
}

/// The bold typeface.
pub(super) fn bold(size: u32) -> FontDesc<'static> {
    FontDesc::new(
        FontFamily::SansSerif,
        f64::from(size * OVERSAMPLING),
        FontStyle::Bold,
    )
}

/// The regular typeface in a colour.
pub(super) fn text(size: u32, colour: Rgb<u8>) -> TextStyle<'static> {
    FontDesc::new(
        FontFamily::SansSerif,
        f64::from(size * OVERSAMPLING),
        FontStyle::Normal,
    )
    .color(&rgb(colour))
}

/// The regular typeface, placed by this point of its box.
pub(super) fn anchored(size: u32, colour: Rgb<u8>, across: HPos, down: VPos) -> TextStyle<'static> {
    text(size, colour).pos(Pos::new(across, down))
}
