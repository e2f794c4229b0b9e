use serde::Serialize;

/// How closely a picture is searched, and what counts as a face.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaceFinderOptions {
    /// The longest side in pixels at which a detector that works at any size looks at the picture, once for each. A
    /// larger picture is scaled down to it, a smaller one is looked at as it is. YuNet is surest of faces of 10 to 300
    /// pixels: a small side finds portraits that fill the picture, a large one people in the distance.
    ///
    /// Detectors made for one size look once, at that size.
    pub sides: Vec<u32>,
    /// The least score, 0 to 1, of a face.
    pub score: f32,
    /// Of two boxes that overlap by more than this (intersection over union), only the surer one is a face.
    pub overlap: f32,
    /// At most so many faces are given, the surest.
    pub most: usize,
}

impl Default for FaceFinderOptions {
    /// The overlap is OpenCV's default; its score of 0.9 misses faces that look aside.
    fn default() -> Self {
        Self {
            sides: vec![640, 320],
            score: 0.7,
            overlap: 0.3,
            most: 100,
        }
    }
}
