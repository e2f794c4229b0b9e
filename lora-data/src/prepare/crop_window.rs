use serde::{Deserialize, Serialize};

use crate::{
    Fit,
    faces::{FaceBox, face_set::CropFrame},
};

/// How the part of a picture that is kept was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CutMethod {
    /// There was nothing to cut off.
    Whole,
    /// The middle.
    Centre,
    /// Where most is to be seen.
    Smart,
    /// Around faces.
    Face {
        /// How many of the faces that were found are wholly in it.
        faces: usize,
    },
    /// As [`Self::Smart`], for no face was found.
    SmartWithoutFace,
    /// By hand; what had to be cut off of the box beyond that came off evenly.
    Box,
}

/// The corner of the middle, in pixels after resizing.
pub(super) fn centre(fit: &Fit) -> (u32, u32) {
    let over = over(fit);
    (over.0 / 2, over.1 / 2)
}

/// How far a window can be moved: pixels after resizing.
pub(super) fn over(fit: &Fit) -> (u32, u32) {
    (
        fit.resized.0 - fit.bucket.width,
        fit.resized.1 - fit.bucket.height,
    )
}

/// The corner of a window around the faces of a picture of `size` pixels, and how many of them it holds; `None` where
/// there is none within the picture.
///
/// The largest face decides: the window's middle is that of the largest face and of all others, by size, that fit into
/// it together; near an edge, the window ends there.
pub(super) fn around_faces(
    faces: &[FaceBox],
    size: (u32, u32),
    fit: &Fit,
) -> Option<((u32, u32), usize)> {
    let scale = (
        f64::from(fit.resized.0) / f64::from(size.0),
        f64::from(fit.resized.1) / f64::from(size.1),
    );
    let mut extents: Vec<Extent> = faces
        .iter()
        .filter_map(|face| Extent::of(face, size, scale))
        .collect();
    extents.sort_by(|a, b| b.area().total_cmp(&a.area()));
    let (largest, others) = extents.split_first()?;
    let window = (f64::from(fit.bucket.width), f64::from(fit.bucket.height));
    let all = others.iter().fold(*largest, |held, other| {
        let both = held.and(other);
        if both.fits(window) { both } else { held }
    });
    let over = over(fit);
    let corner = (
        placed(all.left, all.right, window.0, over.0),
        placed(all.top, all.bottom, window.1, over.1),
    );
    let holds = |face: &&Extent| face.is_within(corner, window);
    Some((corner, extents.iter().filter(holds).count()))
}

/// Where a window of that length begins, its middle as near to that of a face as `over` allows.
fn placed(start: f64, end: f64, length: f64, over: u32) -> u32 {
    let begin = (f64::midpoint(start, end) - length / 2.0).round();
    begin.clamp(0.0, f64::from(over)) as u32
}

/// What faces take up, in pixels after resizing.
#[derive(Clone, Copy, Debug)]
struct Extent {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Extent {
    /// The part of a face that lies within its picture.
    fn of(face: &FaceBox, size: (u32, u32), scale: (f64, f64)) -> Option<Self> {
        let span = |start: f32, length: f32, size: u32, scale: f64| {
            let end = f64::from(start) + f64::from(length);
            let most = f64::from(size);
            (
                f64::from(start).clamp(0.0, most) * scale,
                end.clamp(0.0, most) * scale,
            )
        };
        let (left, right) = span(face.left, face.width, size.0, scale.0);
        let (top, bottom) = span(face.top, face.height, size.1, scale.1);
        (right > left && bottom > top).then_some(Self {
            left,
            top,
            right,
            bottom,
        })
    }

    fn area(&self) -> f64 {
        (self.right - self.left) * (self.bottom - self.top)
    }

    fn and(&self, other: &Self) -> Self {
        Self {
            left: self.left.min(other.left),
            top: self.top.min(other.top),
            right: self.right.max(other.right),
            bottom: self.bottom.max(other.bottom),
        }
    }

    fn fits(&self, window: (f64, f64)) -> bool {
        self.right - self.left <= window.0 && self.bottom - self.top <= window.1
    }

    /// Whether it is in the window but for rounding.
    fn is_within(&self, corner: (u32, u32), window: (f64, f64)) -> bool {
        let (left, top) = (f64::from(corner.0), f64::from(corner.1));
        self.left >= left - 1.0
            && self.top >= top - 1.0
            && self.right <= left + window.0 + 1.0
            && self.bottom <= top + window.1 + 1.0
    }
}

/// What a window shows of the picture, in the picture's pixels, to the nearest; `region` is the part that was resized.
pub(super) fn shown_frame(region: CropFrame, fit: &Fit, corner: (u32, u32)) -> CropFrame {
    let span = |start: u32, length: u32, resized: u32, from: u32, whole: u32| {
        let scale = f64::from(whole) / f64::from(resized);
        let begin = (f64::from(start) * scale).round() as u32;
        let length = (f64::from(length) * scale).round() as u32;
        let length = length.clamp(1, whole);
        (from + begin.min(whole - length), length)
    };
    let (resized, bucket) = (fit.resized, fit.bucket);
    let (left, width) = span(corner.0, bucket.width, resized.0, region.left, region.width);
    let (top, height) = span(
        corner.1,
        bucket.height,
        resized.1,
        region.top,
        region.height,
    );
    CropFrame {
        left,
        top,
        width,
        height,
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use proptest::{prelude::*, test_runner::TestCaseError};

    use super::*;
    use crate::{
        Resolution,
        prepare::{
            PrepareOptions, SmallPolicy, Target,
            cut_plan::{CutPlanner, Planned},
            interest::Interest,
        },
    };

    fn face(left: f32, top: f32, side: f32) -> FaceBox {
        FaceBox {
            left,
            top,
            width: side,
            height: side,
            score: 1.0,
            landmarks: None,
        }
    }

    /// 1000 × 500 to a square of 100: the window is 500 × 500 of the picture, and has 100 places to move.
    const WIDE: Fit = Fit {
        bucket: Resolution::square(100),
        resized: (200, 100),
    };

    fn around(faces: &[FaceBox]) -> Option<((u32, u32), usize)> {
        around_faces(faces, (1000, 500), &WIDE)
    }

    #[test]
    fn the_window_is_centred_on_the_largest_face_and_those_that_fit_beside_it() {
        // Middle 650 of the picture is 130; less half a window that is 80.
        assert_eq!(around(&[face(600.0, 200.0, 100.0)]), Some(((80, 0), 1)));
        // From 300 to 700: middle 500.
        let pair = [face(300.0, 0.0, 50.0), face(600.0, 200.0, 100.0)];
        assert_eq!(around(&pair), Some(((50, 0), 2)));
        // The small one is too far away from the large one, the third is not.
        let three = [
            face(0.0, 0.0, 50.0),
            face(800.0, 200.0, 100.0),
            face(600.0, 9.0, 60.0),
        ];
        assert_eq!(around(&three), Some(((100, 0), 2)));
    }

    #[test]
    fn near_an_edge_the_window_ends_there() {
        assert_eq!(around(&[face(-20.0, 10.0, 100.0)]), Some(((0, 0), 1)));
        assert_eq!(around(&[face(950.0, 10.0, 100.0)]), Some(((100, 0), 1)));
        // Larger than the window: its middle is in the middle, and it is not wholly in.
        assert_eq!(around(&[face(100.0, -50.0, 600.0)]), Some(((30, 0), 0)));
        for outside in [face(1000.0, 0.0, 10.0), face(0.0, -10.0, 10.0)] {
            assert_eq!(around(&[outside]), None);
        }
        assert_eq!(around(&[]), None);
    }

    #[test]
    fn what_is_shown_is_told_in_the_pictures_pixels() {
        let frame = |left, top, width, height| CropFrame {
            left,
            top,
            width,
            height,
        };
        let picture = frame(0, 0, 1000, 500);
        assert_eq!(
            shown_frame(picture, &WIDE, (80, 0)),
            frame(400, 0, 500, 500)
        );
        assert_eq!(
            shown_frame(frame(30, 40, 400, 200), &WIDE, (50, 0)),
            frame(130, 40, 200, 200)
        );
    }

    proptest! {
        #[test]
        fn a_window_lies_within_its_picture_and_has_the_proportions_that_were_asked_for(
            size in (1_u32..5000, 1_u32..5000),
            target in (1_u32..1500, 1_u32..1500),
            keep in any::<bool>(),
            at in (-100_f32..5000.0, -100_f32..5000.0),
            side in 0.1_f32..3000.0,
            seed in any::<u32>(),
        ) {
            let target = Resolution { width: target.0, height: target.1 };
            let options = PrepareOptions {
                target: Target::Size(target),
                small: if keep { SmallPolicy::Keep } else { SmallPolicy::Upscale },
                ..PrepareOptions::default()
            };
            let Planned::Cut(fit) = CutPlanner::new(&options).plan(size).planned else {
                return Err(TestCaseError::fail("left out"));
            };
            let is_enlarged = fit.resized.0 > size.0 || fit.resized.1 > size.1;
            if fit.bucket != target {
                // At its own size: the longer way is all of the picture, the other the nearest whole number.
                prop_assert!(keep && fit.resized == size && !is_enlarged);
                let exact = |side: u32, numerator: u32, denominator: u32| {
                    (f64::from(side) * f64::from(numerator) / f64::from(denominator)).max(1.0)
                };
                let across = exact(size.1, target.width, target.height) - f64::from(fit.bucket.width);
                let down = exact(size.0, target.height, target.width) - f64::from(fit.bucket.height);
                prop_assert!(
                    (fit.bucket.height == size.1 && across.abs() <= 0.5)
                        || (fit.bucket.width == size.0 && down.abs() <= 0.5)
                );
            }
            let noise = RgbImage::from_fn(31, 17, |x, y| {
                let mixed = (seed ^ (x * 31 + y)).wrapping_mul(2_654_435_761);
                Rgb([(mixed >> 24) as u8, (mixed >> 16) as u8, 9])
            });
            let mut corners = vec![centre(&fit), Interest::of(noise).expect("small").best_corner(&fit)];
            let faces = [face(at.0, at.1, side), face(at.1, at.0, side / 2.0)];
            corners.extend(around_faces(&faces, size, &fit).map(|(corner, _)| corner));
            for corner in corners {
                prop_assert!(corner.0 + fit.bucket.width <= fit.resized.0);
                prop_assert!(corner.1 + fit.bucket.height <= fit.resized.1);
                let picture = CropFrame { left: 3, top: 5, width: size.0, height: size.1 };
                let shown = shown_frame(picture, &fit, corner);
                prop_assert!(shown.left >= 3 && shown.left + shown.width <= 3 + size.0);
                prop_assert!(shown.top >= 5 && shown.top + shown.height <= 5 + size.1);
                prop_assert!(shown.width >= 1 && shown.height >= 1);
            }
        }
    }
}
