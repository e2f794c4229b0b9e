use serde::{Deserialize, Serialize};

/// A face in a picture, in the picture's pixels from its upper left corner. It may reach beyond the picture's edges.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FaceBox {
    /// The left edge.
    pub left: f32,
    /// The upper edge.
    pub top: f32,
    /// The width; above 0.
    pub width: f32,
    /// The height; above 0.
    pub height: f32,
    /// How sure the detector is: 0 to 1.
    pub score: f32,
    /// The person's right eye, left eye, nose tip, right and left corner of the mouth, each `(x, y)`; none where the
    /// detector does not tell.
    pub landmarks: Option<[(f32, f32); 5]>,
}

impl FaceBox {
    /// The point in its middle.
    pub fn center(&self) -> (f32, f32) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }

    /// Its width times its height.
    pub fn area(&self) -> f32 {
        self.width * self.height
    }

    /// The shared part of two boxes, as a share of what both cover together (intersection over union): 0 to 1.
    pub fn overlap(&self, other: &Self) -> f32 {
        let across = shared(self.left, self.width, other.left, other.width);
        let down = shared(self.top, self.height, other.top, other.height);
        let both = across * down;
        let either = self.area() + other.area() - both;
        if either > 0.0 { both / either } else { 0.0 }
    }
}

fn shared(start: f32, length: f32, other_start: f32, other_length: f32) -> f32 {
    let end = (start + length).min(other_start + other_length);
    (end - start.max(other_start)).max(0.0)
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn overlap_is_the_shared_part_of_both() {
        let one = face(0.0, 0.0, 10.0, 10.0);
        // Shared 5 × 10 of 150 together.
        assert!((one.overlap(&face(5.0, 0.0, 10.0, 10.0)) - 1.0 / 3.0).abs() < 1e-6);
        assert!((one.overlap(&one) - 1.0).abs() < 1e-6);
        for apart in [
            face(10.0, 0.0, 5.0, 5.0),
            face(20.0, 20.0, 1.0, 1.0),
            face(0.0, -9.0, 10.0, 9.0),
        ] {
            assert!(one.overlap(&apart).abs() < 1e-6, "{apart:?}");
        }
    }

    #[test]
    fn a_box_without_area_overlaps_nothing() {
        let point = face(1.0, 1.0, 0.0, 0.0);
        assert!(point.overlap(&point).abs() < 1e-6);
    }
}
