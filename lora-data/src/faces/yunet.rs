use std::collections::HashMap;

use super::FaceBox;
use crate::onnx::OnnxOutput;

/// Reads YuNet's outputs: for each stride a class score, an objectness, a box and, unless left out, five landmarks at
/// every cell.
///
/// The decoding is that of OpenCV's `FaceDetectorYN` (`face_detect.cpp`): a cell `(column, row)` of stride `s` gives the
/// score √(cls · obj), both held to 0 to 1, the centre `s · (column + b₀, row + b₁)`, the size `s · (exp b₂, exp b₃)`
/// and landmarks `s · (column + k₂ᵢ, row + k₂ᵢ₊₁)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct YuNet {
    strides: Vec<u32>,
}

impl YuNet {
    /// The reader for a model with these outputs, unless they are not YuNet's.
    pub(super) fn of(outputs: &[String]) -> Option<Self> {
        let has = |name: &str, stride: u32| {
            let name = format!("{name}_{stride}");
            outputs.contains(&name)
        };
        let strides: Vec<u32> = outputs
            .iter()
            .filter_map(|name| name.strip_prefix("cls_")?.parse().ok())
            .filter(|&stride| stride > 0 && has("obj", stride) && has("bbox", stride))
            .collect();
        (!strides.is_empty()).then_some(Self { strides })
    }

    /// All cells that reach `score`, on a canvas of `size` pixels.
    ///
    /// # Errors
    /// With what does not fit, where an output has another length than the canvas asks for.
    pub(super) fn faces(
        &self,
        outputs: &[OnnxOutput],
        size: (u32, u32),
        score: f32,
    ) -> Result<Vec<FaceBox>, String> {
        let outputs: HashMap<&str, &[f32]> = outputs
            .iter()
            .map(|output| (output.name.as_str(), output.values.as_slice()))
            .collect();
        let mut faces = Vec::new();
        for &stride in &self.strides {
            let level = Level::of(&outputs, stride, size)?;
            faces.extend((0..level.cls.len()).filter_map(|cell| level.face(cell, score)));
        }
        Ok(faces)
    }
}

/// The outputs of one stride.
struct Level<'a> {
    stride: f32,
    columns: usize,
    cls: &'a [f32],
    obj: &'a [f32],
    bbox: &'a [f32],
    kps: Option<&'a [f32]>,
}

impl<'a> Level<'a> {
    fn of(
        outputs: &HashMap<&str, &'a [f32]>,
        stride: u32,
        size: (u32, u32),
    ) -> Result<Self, String> {
        let (columns, rows) = ((size.0 / stride) as usize, (size.1 / stride) as usize);
        let output = |name: &str, numbers: usize| {
            let name = format!("{name}_{stride}");
            let values = outputs.get(name.as_str()).copied();
            let expected = columns * rows * numbers;
            match values {
                Some(values) if values.len() != expected => Err(format!(
                    "its output {name} has {} numbers instead of {expected}",
                    values.len()
                )),
                values => Ok(values),
            }
        };
        let needed = |name, numbers| {
            output(name, numbers)?.ok_or_else(|| format!("it has no output {name}_{stride}"))
        };
        Ok(Self {
            stride: stride as f32,
            columns,
            cls: needed("cls", 1)?,
            obj: needed("obj", 1)?,
            bbox: needed("bbox", 4)?,
            kps: output("kps", 10)?,
        })
    }

    fn face(&self, cell: usize, least: f32) -> Option<FaceBox> {
        let score = (self.cls[cell].clamp(0.0, 1.0) * self.obj[cell].clamp(0.0, 1.0)).sqrt();
        if score.is_nan() || score < least {
            return None;
        }
        let (column, row) = ((cell % self.columns) as f32, (cell / self.columns) as f32);
        let at = |x: f32, y: f32| ((column + x) * self.stride, (row + y) * self.stride);
        let bbox = &self.bbox[4 * cell..4 * cell + 4];
        let (x, y) = at(bbox[0], bbox[1]);
        let (width, height) = (bbox[2].exp() * self.stride, bbox[3].exp() * self.stride);
        let landmarks = self.kps.map(|kps| {
            std::array::from_fn(|point| {
                let first = 10 * cell + 2 * point;
                at(kps[first], kps[first + 1])
            })
        });
        Some(FaceBox {
            left: x - width / 2.0,
            top: y - height / 2.0,
            width,
            height,
            score,
            landmarks,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(list: &[&str]) -> Vec<String> {
        list.iter().map(ToString::to_string).collect()
    }

    fn output(name: &str, values: &[f32]) -> OnnxOutput {
        OnnxOutput {
            name: name.to_owned(),
            shape: vec![1, values.len()],
            values: values.to_vec(),
        }
    }

    #[test]
    fn strides_are_told_by_the_names_of_outputs() {
        let yunet = YuNet::of(&names(&[
            "obj_4", "cls_4", "bbox_4", "cls_8", "obj_8", "bbox_8", "kps_8",
        ]));
        assert_eq!(
            yunet,
            Some(YuNet {
                strides: vec![4, 8]
            })
        );
        for outputs in [
            names(&["output0"]),
            names(&["cls_8", "obj_8"]),
            names(&["cls_0", "obj_0", "bbox_0"]),
        ] {
            assert_eq!(YuNet::of(&outputs), None);
        }
    }

    #[test]
    fn a_cell_gives_the_box_around_it() {
        let yunet = YuNet { strides: vec![16] };
        // A canvas of 2 × 1 cells; only the right one reaches the score.
        let outputs = [
            output("cls_16", &[0.1, 0.81]),
            output("obj_16", &[0.9, 1.5]),
            output(
                "bbox_16",
                &[0.0, 0.0, 0.0, 0.0, 0.5, 0.25, 0.0, std::f32::consts::LN_2],
            ),
        ];
        let faces = yunet.faces(&outputs, (32, 16), 0.5).unwrap();
        let face = FaceBox {
            left: 16.0,
            top: 4.0 - 16.0,
            width: 16.0,
            height: 32.0,
            score: 0.9,
            landmarks: None,
        };
        assert_eq!(faces, [face]);
        let mut kps = vec![0.0; 20];
        kps[10..].copy_from_slice(&[0.0, 0.0, 1.0, 0.5, -1.0, 0.0, 0.0, 0.0, 0.25, 0.25]);
        let with_landmarks = [&outputs[..], &[output("kps_16", &kps)]].concat();
        let faces = yunet.faces(&with_landmarks, (32, 16), 0.5).unwrap();
        let points = [
            (16.0, 0.0),
            (32.0, 8.0),
            (0.0, 0.0),
            (16.0, 0.0),
            (20.0, 4.0),
        ];
        assert_eq!(faces[0].landmarks, Some(points));
    }

    #[test]
    fn outputs_of_another_length_are_an_error() {
        let yunet = YuNet { strides: vec![16] };
        let outputs = [
            output("cls_16", &[0.1, 0.8]),
            output("obj_16", &[0.9, 0.9]),
            output("bbox_16", &[0.0; 4]),
        ];
        let error = yunet.faces(&outputs, (32, 16), 0.5).unwrap_err();
        assert_eq!(error, "its output bbox_16 has 4 numbers instead of 8");
    }

    #[test]
    fn a_score_that_is_no_number_is_no_face() {
        let yunet = YuNet { strides: vec![32] };
        let outputs = [
            output("cls_32", &[f32::NAN]),
            output("obj_32", &[1.0]),
            output("bbox_32", &[0.0; 4]),
        ];
        assert_eq!(yunet.faces(&outputs, (32, 32), 0.0).unwrap(), []);
    }
}
