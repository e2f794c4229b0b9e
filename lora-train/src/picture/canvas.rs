//! The sheet on which grids, film strips and curves are drawn.

use image::{GenericImage, Rgb, RgbImage};

use super::typeface::Typeface;

/// An RGB picture under construction. Whatever falls outside its edges is not drawn.
pub(super) struct Canvas {
    pixels: RgbImage,
}

impl Canvas {
    /// A sheet of one colour, at least one pixel large.
    pub(super) fn new(width: u32, height: u32, paper: Rgb<u8>) -> Self {
        Self {
            pixels: RgbImage::from_pixel(width.max(1), height.max(1), paper),
        }
    }

    /// `(width, height)` in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        self.pixels.dimensions()
    }

    /// The finished picture.
    pub(super) fn into_image(self) -> RgbImage {
        self.pixels
    }

    /// Lays `colour` over one pixel with an opacity in `[0, 1]`.
    pub(super) fn blend(&mut self, x: i32, y: i32, colour: Rgb<u8>, opacity: f32) {
        let (width, height) = self.size();
        let (Ok(x), Ok(y)) = (u32::try_from(x), u32::try_from(y)) else {
            return;
        };
        if x < width && y < height {
            let pixel = self.pixels.get_pixel_mut(x, y);
            for (under, over) in pixel.0.iter_mut().zip(colour.0) {
                let mixed = f32::from(*under)
                    + (f32::from(over) - f32::from(*under)) * opacity.clamp(0.0, 1.0);
                *under = mixed.round() as u8;
            }
        }
    }

    /// Fills a rectangle.
    pub(super) fn fill(&mut self, left: u32, top: u32, width: u32, height: u32, colour: Rgb<u8>) {
        let (right, bottom) = self.size();
        for y in top..(top + height).min(bottom) {
            for x in left..(left + width).min(right) {
                self.pixels.put_pixel(x, y, colour);
            }
        }
    }

    /// Copies a picture to `(left, top)`, cut at the edges.
    pub(super) fn paste(&mut self, picture: &RgbImage, left: u32, top: u32) {
        let (width, height) = self.size();
        let visible = image::imageops::crop_imm(
            picture,
            0,
            0,
            picture.width().min(width.saturating_sub(left)),
            picture.height().min(height.saturating_sub(top)),
        );
        self.pixels
            .copy_from(&*visible, left.min(width), top.min(height))
            .expect("the visible part lies within the canvas");
    }

    /// Sets one line of text with its upper left corner at `(left, top)`.
    pub(super) fn text(
        &mut self,
        face: Typeface,
        text: &str,
        left: f32,
        top: f32,
        colour: Rgb<u8>,
    ) {
        let top = top.round() as i32;
        face.cover(text, left, |x, y, coverage| {
            self.blend(x, top + y, colour, coverage);
        });
    }

    /// Sets one line of text centred on `middle`.
    pub(super) fn centred(
        &mut self,
        face: Typeface,
        text: &str,
        middle: f32,
        top: f32,
        colour: Rgb<u8>,
    ) {
        self.text(face, text, middle - face.width(text) / 2.0, top, colour);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::palette::{INK, PAPER};

    #[test]
    fn drawing_past_the_edges_is_cut() {
        let mut canvas = Canvas::new(8, 8, PAPER);
        canvas.fill(4, 4, 100, 100, INK);
        canvas.paste(&RgbImage::from_pixel(3, 3, INK), 7, 0);
        canvas.paste(&RgbImage::from_pixel(3, 3, INK), 90, 90);
        canvas.text(Typeface::bold(30.0), "wide", -10.0, -10.0, INK);
        canvas.blend(-1, 99, INK, 1.0);
        let image = canvas.into_image();
        assert_eq!(
            (
                image.dimensions(),
                *image.get_pixel(7, 7),
                *image.get_pixel(7, 2)
            ),
            ((8, 8), INK, INK)
        );
    }

    #[test]
    fn half_opacity_lands_half_way() {
        let mut canvas = Canvas::new(1, 1, PAPER);
        canvas.blend(0, 0, Rgb([55, 155, 255]), 0.5);
        assert_eq!(canvas.into_image().get_pixel(0, 0), &Rgb([155, 205, 255]));
    }
}
