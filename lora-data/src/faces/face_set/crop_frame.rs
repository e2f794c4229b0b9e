use serde::{Deserialize, Serialize};

use crate::{Resolution, faces::FaceBox};

/// A part of a picture, in its pixels from the upper left corner, wholly within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CropFrame {
    /// The left edge.
    pub left: u32,
    /// The upper edge.
    pub top: u32,
    /// The width; at least 1.
    pub width: u32,
    /// The height; at least 1.
    pub height: u32,
}

impl CropFrame {
    /// The frame around a face in a picture of `size` pixels, with the proportions of `aspect`.
    ///
    /// It is the smallest one around a square of the face's longer side, widened by `margin` times that side on every
    /// side. A frame that reaches beyond the picture is moved into it, and shrunk where it is larger than the picture.
    ///
    /// `None` when the face lies outside the picture.
    pub fn around(
        face: &FaceBox,
        size: (u32, u32),
        margin: f32,
        aspect: Resolution,
    ) -> Option<Self> {
        let (across, down) = (f64::from(size.0), f64::from(size.1));
        let (left, top) = (f64::from(face.left), f64::from(face.top));
        let (face_width, face_height) = (f64::from(face.width), f64::from(face.height));
        let is_inside =
            left < across && top < down && left + face_width > 0.0 && top + face_height > 0.0;
        if !is_inside || aspect.width == 0 || aspect.height == 0 {
            return None;
        }
        let side = face_width.max(face_height) * (1.0 + 2.0 * f64::from(margin));
        let proportion = f64::from(aspect.width) / f64::from(aspect.height);
        let (width, height) = (side * proportion.max(1.0), side / proportion.min(1.0));
        let shrink = (across / width).min(down / height).min(1.0);
        let (width, left) = placed(width * shrink, left + face_width / 2.0, size.0);
        let (height, top) = placed(height * shrink, top + face_height / 2.0, size.1);
        Some(Self {
            left,
            top,
            width,
            height,
        })
    }

    /// The share of a picture of `size` pixels that it shows, 0 to 1.
    pub fn share_of(&self, size: (u32, u32)) -> f64 {
        let area = |width: u32, height: u32| f64::from(width) * f64::from(height);
        area(self.width, self.height) / area(size.0, size.1)
    }
}

/// A length and where it begins, in whole pixels, with its middle as near to `middle` as a picture of `size` allows.
fn placed(length: f64, middle: f64, size: u32) -> (u32, u32) {
    let whole = (length.round() as u32).clamp(1, size.max(1));
    let start = (middle - f64::from(whole) / 2.0).round().max(0.0) as u32;
    (whole, start.min(size.saturating_sub(whole)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn face(left: f32, top: f32, width: f32, height: f32) -> FaceBox {
        FaceBox {
            left,
            top,
            width,
            height,
            score: 1.0,
            landmarks: None,
        }
    }

    fn frame(left: u32, top: u32, width: u32, height: u32) -> CropFrame {
        CropFrame {
            left,
            top,
            width,
            height,
        }
    }

    const SQUARE: Resolution = Resolution::square(1);

    #[test]
    fn the_margin_is_added_on_every_side_of_the_longer_side() {
        let face = face(100.0, 100.0, 40.0, 60.0);
        let around =
            |margin, aspect| CropFrame::around(&face, (1000, 1000), margin, aspect).unwrap();
        assert_eq!(around(0.0, SQUARE), frame(90, 100, 60, 60));
        assert_eq!(around(0.5, SQUARE), frame(60, 70, 120, 120));
        let upright = Resolution {
            width: 2,
            height: 3,
        };
        assert_eq!(around(0.5, upright), frame(60, 40, 120, 180));
        let wide = Resolution {
            width: 768,
            height: 512,
        };
        assert_eq!(around(0.5, wide), frame(30, 70, 180, 120));
    }

    #[test]
    fn a_frame_beyond_the_edges_is_moved_in_and_a_large_one_shrunk() {
        let corner = face(-10.0, 180.0, 40.0, 40.0);
        assert_eq!(
            CropFrame::around(&corner, (300, 200), 0.5, SQUARE),
            Some(frame(0, 120, 80, 80))
        );
        let large = face(50.0, 20.0, 160.0, 160.0);
        assert_eq!(
            CropFrame::around(&large, (300, 200), 0.5, SQUARE),
            Some(frame(30, 0, 200, 200))
        );
    }

    #[test]
    fn a_face_outside_the_picture_has_no_frame() {
        for outside in [
            face(300.0, 0.0, 9.0, 9.0),
            face(-9.0, 0.0, 9.0, 9.0),
            face(0.0, 900.0, 1.0, 1.0),
        ] {
            assert_eq!(CropFrame::around(&outside, (300, 200), 0.5, SQUARE), None);
        }
    }

    proptest! {
        #[test]
        fn a_frame_lies_within_the_picture_and_holds_the_face_where_both_fit(
            size in (1u32..3000, 1u32..3000),
            at in (-200f32..3200.0, -200f32..3200.0),
            face_size in (0.5f32..2000.0, 0.5f32..2000.0),
            margin in 0f32..2.0,
            aspect in (1u32..5, 1u32..5),
        ) {
            let face = face(at.0, at.1, face_size.0, face_size.1);
            let aspect = Resolution { width: aspect.0, height: aspect.1 };
            if let Some(frame) = CropFrame::around(&face, size, margin, aspect) {
                prop_assert!(frame.width >= 1 && frame.height >= 1);
                prop_assert!(frame.left + frame.width <= size.0 && frame.top + frame.height <= size.1);
                let fits = face.width.max(face.height) * (1.0 + 2.0 * margin) * 4.0 < size.0.min(size.1) as f32;
                let is_whole = at.0 >= 0.0 && at.1 >= 0.0
                    && at.0 + face.width <= size.0 as f32 && at.1 + face.height <= size.1 as f32;
                if fits && is_whole {
                    // Rounding moves edges by up to one pixel.
                    prop_assert!(frame.left as f32 <= face.left + 1.0);
                    prop_assert!((frame.left + frame.width) as f32 >= face.left + face.width - 1.0);
                    prop_assert!(frame.top as f32 <= face.top + 1.0);
                    prop_assert!((frame.top + frame.height) as f32 >= face.top + face.height - 1.0);
                }
            }
        }
    }
}
