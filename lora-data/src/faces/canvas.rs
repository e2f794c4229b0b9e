use std::borrow::Cow;

use image::RgbImage;

use super::FaceBox;
use crate::cover_crop::resize;

/// How a detector wants to be shown a picture: scaled, laid on a canvas, as numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Canvas {
    /// Width and height of the canvas.
    pub(super) size: (u32, u32),
    /// Width and height to which the picture is scaled.
    picture: (u32, u32),
    /// Where its upper left corner lies.
    offset: (u32, u32),
    pixels: Pixels,
}

/// What a pixel's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pixels {
    /// Blue, green, red, 0 to 255, on black: as OpenCV.
    Bgr255,
    /// Red, green, blue, 0 to 1, on the grey of Ultralytics.
    Rgb1,
}

/// The grey around pictures that Ultralytics' models are trained with.
const GREY: u8 = 114;

impl Canvas {
    /// The picture scaled down so that its longest side is at most `side`, in the upper left corner of a canvas whose
    /// sides are multiples of 32, as OpenCV's `FaceDetectorYN` pads it.
    pub(super) fn padded(picture: (u32, u32), side: u32) -> Self {
        let scale = f64::from(side.max(1)) / f64::from(picture.0.max(picture.1));
        let picture = scaled(picture, scale.min(1.0));
        Self {
            size: (
                picture.0.next_multiple_of(32),
                picture.1.next_multiple_of(32),
            ),
            picture,
            offset: (0, 0),
            pixels: Pixels::Bgr255,
        }
    }

    /// The picture scaled to just fit a canvas of `size`, in its middle, as Ultralytics' `LetterBox`.
    pub(super) fn letterboxed(picture: (u32, u32), size: (u32, u32)) -> Self {
        let across = f64::from(size.0) / f64::from(picture.0);
        let down = f64::from(size.1) / f64::from(picture.1);
        let (width, height) = scaled(picture, across.min(down));
        let picture = (width.min(size.0), height.min(size.1));
        Self {
            size,
            picture,
            offset: ((size.0 - picture.0) / 2, (size.1 - picture.1) / 2),
            pixels: Pixels::Rgb1,
        }
    }

    /// The numbers, `[3, height, width]`.
    ///
    /// # Errors
    /// When the picture cannot be resized, in the resizer's words.
    pub(super) fn values(&self, picture: &RgbImage) -> Result<Vec<f32>, String> {
        let scaled = if picture.dimensions() == self.picture {
            Cow::Borrowed(picture)
        } else {
            let resized = resize(picture.clone(), self.picture);
            Cow::Owned(resized.map_err(|error| error.to_string())?)
        };
        let plane = self.size.0 as usize * self.size.1 as usize;
        let mut values = vec![self.fill(); 3 * plane];
        for (x, y, pixel) in scaled.enumerate_pixels() {
            let row = (y + self.offset.1) as usize * self.size.0 as usize;
            let at = row + (x + self.offset.0) as usize;
            for (channel, &byte) in pixel.0.iter().enumerate() {
                match self.pixels {
                    Pixels::Bgr255 => values[(2 - channel) * plane + at] = f32::from(byte),
                    Pixels::Rgb1 => values[channel * plane + at] = f32::from(byte) / 255.0,
                }
            }
        }
        Ok(values)
    }

    fn fill(&self) -> f32 {
        match self.pixels {
            Pixels::Bgr255 => 0.0,
            Pixels::Rgb1 => f32::from(GREY) / 255.0,
        }
    }

    /// A face on the canvas, in the pixels of a picture of `size`.
    pub(super) fn back(&self, face: FaceBox, size: (u32, u32)) -> FaceBox {
        let across = size.0 as f32 / self.picture.0 as f32;
        let down = size.1 as f32 / self.picture.1 as f32;
        let x = |x: f32| (x - self.offset.0 as f32) * across;
        let y = |y: f32| (y - self.offset.1 as f32) * down;
        FaceBox {
            left: x(face.left),
            top: y(face.top),
            width: face.width * across,
            height: face.height * down,
            score: face.score,
            landmarks: face
                .landmarks
                .map(|points| points.map(|point| (x(point.0), y(point.1)))),
        }
    }
}

fn scaled((width, height): (u32, u32), scale: f64) -> (u32, u32) {
    let side = |side: u32| ((f64::from(side) * scale).round() as u32).max(1);
    (side(width), side(height))
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn a_small_picture_is_padded_and_a_large_one_scaled_down() {
        for (picture, canvas, scaled) in [
            ((512, 512), (512, 512), (512, 512)),
            ((600, 400), (608, 416), (600, 400)),
            ((1280, 300), (640, 160), (640, 150)),
            ((1, 5000), (32, 640), (1, 640)),
        ] {
            let made = Canvas::padded(picture, 640);
            assert_eq!(
                (made.size, made.picture, made.offset),
                (canvas, scaled, (0, 0))
            );
        }
    }

    #[test]
    fn a_letterbox_fits_the_picture_into_its_middle() {
        let made = Canvas::letterboxed((200, 100), (64, 64));
        assert_eq!((made.picture, made.offset), ((64, 32), (0, 16)));
        let made = Canvas::letterboxed((16, 16), (64, 32));
        assert_eq!((made.picture, made.offset), ((32, 32), (16, 0)));
    }

    #[test]
    fn numbers_are_blue_first_on_black_or_red_first_on_grey() {
        let picture = RgbImage::from_pixel(32, 31, Rgb([255, 51, 0]));
        let values = Canvas::padded((32, 31), 640).values(&picture).unwrap();
        assert_eq!(values.len(), 3 * 32 * 32);
        let at = |places: [usize; 3]| places.map(|place| values[place]).to_vec();
        assert_eq!(at([0, 1024, 2048]), [0.0, 51.0, 255.0]);
        // The last row is padding in all planes.
        assert_eq!(at([1023, 2047, 3071]), [0.0; 3]);
        let values = Canvas::letterboxed((32, 31), (32, 34))
            .values(&picture)
            .unwrap();
        let plane = 32 * 34;
        let middle = 16 * 32;
        let at = |places: [usize; 3]| places.map(|place| values[place]).to_vec();
        assert_eq!(
            at([middle, plane + middle, 2 * plane + middle]),
            [1.0, 0.2, 0.0]
        );
        assert_eq!(at([0, plane, 2 * plane]), [114.0 / 255.0; 3]);
    }

    #[test]
    fn faces_come_back_to_where_they_were() {
        let canvas = Canvas::letterboxed((200, 100), (64, 64));
        let face = FaceBox {
            left: 16.0,
            top: 24.0,
            width: 8.0,
            height: 4.0,
            score: 0.5,
            landmarks: Some([(16.0, 16.0); 5]),
        };
        let back = canvas.back(face, (200, 100));
        assert_eq!(
            (back.left, back.top, back.width, back.height),
            (50.0, 25.0, 25.0, 12.5)
        );
        assert_eq!(back.landmarks, Some([(50.0, 0.0); 5]));
    }
}
