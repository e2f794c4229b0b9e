use regex::Regex;

use super::FaceBox;
use crate::onnx::{OnnxModel, OnnxOutput};

/// The strides of the grids that YOLO models are built with: the usual three, with a finer and with a coarser one.
const STRIDES: [&[u32]; 3] = [&[8, 16, 32], &[4, 8, 16, 32], &[8, 16, 32, 64]];

/// The most boxes, and the numbers of each, in the list of finished boxes that end-to-end models give: corners, score,
/// class, and perhaps points.
const FINISHED: (usize, std::ops::RangeInclusive<usize>) = (1000, 6..=64);

/// Reads the output of YOLO-like detectors: Ultralytics' YOLOv8 and later, either way round, YOLOv5 and its face
/// variants, and models that end in finished boxes. Their scores are past the sigmoid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Yolo {
    /// What the classes are called, where the file says so.
    classes: Vec<String>,
}

impl Yolo {
    /// The reader for a model, by the class names that Ultralytics writes into the file.
    pub(super) fn of(model: &OnnxModel) -> Self {
        Self {
            classes: model.metadata("names").map(class_names).unwrap_or_default(),
        }
    }

    /// All boxes that reach `score`, on a canvas of `size` pixels.
    ///
    /// # Errors
    /// When the output has a shape that no known model of that size has.
    pub(super) fn faces(
        &self,
        output: &OnnxOutput,
        size: (u32, u32),
        score: f32,
    ) -> Result<Vec<FaceBox>, String> {
        let rows = Rows::of(output, size)?;
        let columns = self.columns(&rows)?;
        Ok((0..rows.count)
            .filter_map(|row| columns.face(&rows, row, score))
            .collect())
    }

    /// Which columns hold what.
    fn columns(&self, rows: &Rows) -> Result<Columns, String> {
        let width = rows.width;
        let too_narrow = || format!("its output has only {width} numbers for each box");
        let (objectness, classes, landmarks) = match (rows.kind, width) {
            (Kind::Finished, _) => (None, 4..5, None),
            // YOLOv5-face: box, objectness, five points, class; YOLOv7-face: box, objectness, class, five points with
            // their visibility.
            (Kind::Anchors, 16) => (Some(4), 15..16, Some((5, 2))),
            (Kind::Anchors, 21) => (Some(4), 5..6, Some((6, 3))),
            (Kind::Anchors, _) => (Some(4), 5..width, None),
            (Kind::Cells, _) => {
                let known = self.classes.len();
                let beyond = |classes: usize| width.checked_sub(4 + classes);
                match (known, beyond(known.max(1))) {
                    (_, None) => return Err(too_narrow()),
                    (_, Some(10)) if known <= 1 => (None, 4..5, Some((5, 2))),
                    (_, Some(15)) if known <= 1 => (None, 4..5, Some((5, 3))),
                    (0, Some(_)) => (None, 4..width, None),
                    (_, Some(_)) => (None, 4..4 + known, None),
                }
            }
        };
        if classes.is_empty() || classes.end > width {
            return Err(too_narrow());
        }
        Ok(Columns {
            objectness,
            classes: self.faces_among(classes),
            landmarks,
        })
    }

    /// The classes that are faces, where their names say so; else all.
    fn faces_among(&self, columns: std::ops::Range<usize>) -> Vec<usize> {
        let named: Vec<usize> = columns
            .clone()
            .zip(&self.classes)
            .filter(|(_, name)| name.to_lowercase().contains("face"))
            .map(|(column, _)| column)
            .collect();
        if named.is_empty() {
            columns.collect()
        } else {
            named
        }
    }
}

/// `{0: 'face', 1: "head"}`, as Ultralytics writes it.
fn class_names(text: &str) -> Vec<String> {
    let name = Regex::new(r#"\d+\s*:\s*['"]([^'"]*)['"]"#);
    let Ok(name) = name else { return Vec::new() };
    name.captures_iter(text)
        .map(|found| found[1].to_owned())
        .collect()
}

/// How a model arrives at its boxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// One box for each cell of the grids, as YOLOv8.
    Cells,
    /// Three for each cell, with an objectness, as YOLOv5.
    Anchors,
    /// Finished boxes by their corners, as `[1, 300, 6]`.
    Finished,
}

/// A tensor seen as a row of numbers for each box.
struct Rows<'a> {
    kind: Kind,
    count: usize,
    width: usize,
    /// Whether the boxes run fastest, as in `[1, 5, 8400]`.
    transposed: bool,
    values: &'a [f32],
}

impl<'a> Rows<'a> {
    fn of(output: &'a OnnxOutput, size: (u32, u32)) -> Result<Self, String> {
        let misfit = || {
            format!(
                "its output \"{}\" of shape {:?} is none that a YOLO model of {} × {} pixels has",
                output.name, output.shape, size.0, size.1
            )
        };
        let [1, first, second] = output.shape[..] else {
            return Err(misfit());
        };
        let kinds = STRIDES.iter().flat_map(|strides| {
            let cells = strides
                .iter()
                .map(|s| (size.0 / s) as usize * (size.1 / s) as usize);
            let cells: usize = cells.sum();
            [(Kind::Cells, cells), (Kind::Anchors, 3 * cells)]
        });
        let kind_of = |count| kinds.clone().find(|one| one.1 == count).map(|one| one.0);
        let (kind, transposed) = match (kind_of(first), kind_of(second)) {
            (Some(kind), _) => (kind, false),
            (None, Some(kind)) => (kind, true),
            (None, None) if (1..=FINISHED.0).contains(&first) && FINISHED.1.contains(&second) => {
                (Kind::Finished, false)
            }
            (None, None) => return Err(misfit()),
        };
        let (count, width) = if transposed {
            (second, first)
        } else {
            (first, second)
        };
        Ok(Self {
            kind,
            count,
            width,
            transposed,
            values: &output.values,
        })
    }

    fn value(&self, row: usize, column: usize) -> f32 {
        let at = if self.transposed {
            column * self.count + row
        } else {
            row * self.width + column
        };
        self.values.get(at).copied().unwrap_or(f32::NAN)
    }
}

/// The meaning of a row's numbers; the first four are the box.
struct Columns {
    objectness: Option<usize>,
    classes: Vec<usize>,
    /// The first of five points, and how many numbers each has.
    landmarks: Option<(usize, usize)>,
}

impl Columns {
    fn face(&self, rows: &Rows, row: usize, least: f32) -> Option<FaceBox> {
        let value = |column| rows.value(row, column);
        let class = self.classes.iter().map(|&column| value(column));
        let score = class.fold(f32::NEG_INFINITY, f32::max) * self.objectness.map_or(1.0, value);
        if score.is_nan() || score < least {
            return None;
        }
        let bounds = [0, 1, 2, 3].map(value);
        let (left, top, width, height) = match (rows.kind, bounds) {
            (Kind::Finished, [left, top, right, bottom]) => (left, top, right - left, bottom - top),
            (_, [x, y, width, height]) => (x - width / 2.0, y - height / 2.0, width, height),
        };
        let point = |first: usize, numbers: usize, index: usize| {
            let at = first + index * numbers;
            (value(at), value(at + 1))
        };
        Some(FaceBox {
            left,
            top,
            width,
            height,
            score: score.clamp(0.0, 1.0),
            landmarks: self
                .landmarks
                .map(|(first, numbers)| std::array::from_fn(|index| point(first, numbers, index))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A canvas of 64 × 64 has 64 + 16 + 4 cells.
    const SIZE: (u32, u32) = (64, 64);
    const CELLS: usize = 84;

    /// An output of `count` boxes of which the one at `row` holds `numbers`.
    fn rows_first(count: usize, row: usize, numbers: &[f32]) -> OnnxOutput {
        let mut values = vec![0.0; count * numbers.len()];
        values[row * numbers.len()..][..numbers.len()].copy_from_slice(numbers);
        OnnxOutput {
            name: "output0".to_owned(),
            shape: vec![1, count, numbers.len()],
            values,
        }
    }

    fn transposed(output: &OnnxOutput) -> OnnxOutput {
        let (count, width) = (output.shape[1], output.shape[2]);
        let value = |at: usize| output.values[(at % count) * width + at / count];
        OnnxOutput {
            name: output.name.clone(),
            shape: vec![1, width, count],
            values: (0..count * width).map(value).collect(),
        }
    }

    fn only_face(yolo: &Yolo, output: &OnnxOutput) -> FaceBox {
        let faces = yolo.faces(output, SIZE, 0.5).unwrap();
        assert_eq!(faces.len(), 1, "{faces:?}");
        faces[0]
    }

    #[test]
    fn yolov8_is_read_either_way_round() {
        let output = rows_first(CELLS, 70, &[20.0, 30.0, 10.0, 16.0, 0.75]);
        let face = FaceBox {
            left: 15.0,
            top: 22.0,
            width: 10.0,
            height: 16.0,
            score: 0.75,
            landmarks: None,
        };
        assert_eq!(only_face(&Yolo::default(), &output), face);
        assert_eq!(only_face(&Yolo::default(), &transposed(&output)), face);
    }

    #[test]
    fn yolov5_multiplies_objectness_and_class() {
        let output = rows_first(3 * CELLS, 9, &[20.0, 30.0, 10.0, 16.0, 0.8, 0.75, 0.1]);
        assert!((only_face(&Yolo::default(), &output).score - 0.6).abs() < 1e-6);
    }

    #[test]
    fn landmarks_are_read_where_the_width_tells_of_five_points() {
        let points: Vec<f32> = (1..=10).map(|n| n as f32).collect();
        let visible: Vec<f32> = (0..5)
            .flat_map(|n| [n as f32 * 2.0 + 1.0, n as f32 * 2.0 + 2.0, 0.9])
            .collect();
        let bounds = [20.0, 30.0, 10.0, 16.0];
        let expected = [(1.0, 2.0), (3.0, 4.0), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0)];
        for (count, numbers) in [
            (CELLS, [&bounds[..], &[0.9], &points].concat()),
            (CELLS, [&bounds[..], &[0.9], &visible].concat()),
            (3 * CELLS, [&bounds[..], &[0.9], &points, &[0.9]].concat()),
            (3 * CELLS, [&bounds[..], &[0.9, 0.9], &visible].concat()),
        ] {
            let face = only_face(&Yolo::default(), &rows_first(count, 3, &numbers));
            assert_eq!(face.landmarks, Some(expected));
        }
    }

    #[test]
    fn finished_boxes_are_corners() {
        let output = rows_first(10, 2, &[5.0, 6.0, 25.0, 46.0, 0.9, 0.0]);
        let face = only_face(&Yolo::default(), &output);
        assert_eq!(
            (face.left, face.top, face.width, face.height),
            (5.0, 6.0, 20.0, 40.0)
        );
    }

    #[test]
    fn only_classes_called_faces_count_where_the_file_names_them() {
        let yolo = Yolo {
            classes: class_names("{0: 'person', 1: 'Anime Face', 2: \"car\"}"),
        };
        assert_eq!(yolo.classes, ["person", "Anime Face", "car"]);
        let person = rows_first(CELLS, 1, &[20.0, 30.0, 10.0, 16.0, 0.9, 0.1, 0.0]);
        assert_eq!(yolo.faces(&person, SIZE, 0.5).unwrap(), []);
        let face = rows_first(CELLS, 1, &[20.0, 30.0, 10.0, 16.0, 0.1, 0.9, 0.0]);
        assert!((only_face(&yolo, &face).score - 0.9).abs() < 1e-6);
        let unnamed = Yolo::default();
        assert!((only_face(&unnamed, &person).score - 0.9).abs() < 1e-6);
    }

    #[test]
    fn shapes_of_other_models_are_an_error() {
        for shape in [
            vec![1, 5],
            vec![2, 5, CELLS],
            vec![1, 5, 7000],
            vec![1, CELLS, 4],
            vec![1, 0, 6],
        ] {
            let output = OnnxOutput {
                name: "out".to_owned(),
                values: vec![0.0; shape.iter().product()],
                shape,
            };
            assert!(
                Yolo::default().faces(&output, SIZE, 0.5).is_err(),
                "{:?}",
                output.shape
            );
        }
    }
}
