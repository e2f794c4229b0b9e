use super::{FaceBox, FaceFinderOptions, canvas::Canvas, yolo::Yolo, yunet::YuNet};
use crate::onnx::{OnnxModel, OnnxOutput};

/// The side of a YOLO model whose file leaves it open: the size at which nearly all of them are trained.
const YOLO_SIDE: u32 = 640;

/// What kind of detector a model is, told by its inputs and outputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// YuNet: works at any size.
    YuNet(YuNet),
    /// A YOLO model, and the size of its canvas.
    Yolo(Yolo, (u32, u32)),
}

impl Layout {
    /// # Errors
    /// When the model takes something else than one RGB picture, or its outputs are of no known kind.
    pub(super) fn of(model: &OnnxModel) -> Result<Self, String> {
        let input = model.input();
        let [None | Some(1), None | Some(3), height, width] = input.shape[..] else {
            return Err(format!(
                "its input \"{}\" is not a picture [1, 3, height, width]",
                input.name
            ));
        };
        if let Some(yunet) = YuNet::of(model.outputs()) {
            return Ok(Self::YuNet(yunet));
        }
        let side = |size: Option<usize>| match size {
            None => Ok(YOLO_SIDE),
            Some(size) => u32::try_from(size).map_err(|_| format!("it is for {size} pixels")),
        };
        match model.outputs() {
            [_] => Ok(Self::Yolo(Yolo::of(model), (side(width)?, side(height)?))),
            outputs => Err(format!(
                "its outputs ({}) are neither YuNet's cls_8, obj_8, bbox_8 … nor the one of a YOLO model",
                outputs.join(", ")
            )),
        }
    }

    /// The canvases on which a picture of `size` pixels is looked at.
    pub(super) fn canvases(&self, size: (u32, u32), options: &FaceFinderOptions) -> Vec<Canvas> {
        match self {
            Self::YuNet(_) => {
                let mut canvases: Vec<Canvas> = Vec::new();
                for &side in &options.sides {
                    let canvas = Canvas::padded(size, side);
                    if !canvases.contains(&canvas) {
                        canvases.push(canvas);
                    }
                }
                canvases
            }
            Self::Yolo(_, canvas) => vec![Canvas::letterboxed(size, *canvas)],
        }
    }

    /// The boxes on a canvas of `size` pixels that reach `score`.
    ///
    /// # Errors
    /// When the outputs do not fit.
    pub(super) fn faces(
        &self,
        outputs: &[OnnxOutput],
        size: (u32, u32),
        score: f32,
    ) -> Result<Vec<FaceBox>, String> {
        match (self, outputs) {
            (Self::YuNet(yunet), outputs) => yunet.faces(outputs, size, score),
            (Self::Yolo(yolo, _), [output]) => yolo.faces(output, size, score),
            (Self::Yolo(..), outputs) => Err(format!("it gave {} outputs", outputs.len())),
        }
    }
}
