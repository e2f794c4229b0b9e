use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use image::RgbImage;
use sha2::{Digest, Sha256};

use super::{
    FaceBox, FaceError, FaceFinder, FaceFinderOptions, canvas::Canvas, layout::Layout,
    non_maximum::non_maximum,
};
use crate::onnx::{OnnxError, OnnxModel, OnnxRunner};

/// The model that the crate carries; see `assets/README.md`.
const YUNET: &[u8] = include_bytes!("../../assets/face_detection_yunet_2023mar.onnx");

/// What errors call it.
const YUNET_NAME: &str = "face_detection_yunet_2023mar.onnx (built in)";

/// Models prepared for a size are kept for so many sizes: photographs of one camera have two.
const SIZES_KEPT: usize = 16;

/// A face detector read from an ONNX file: YuNet and models with its outputs, or a YOLO-like one.
///
/// Threads may search at the same time; memory then holds one picture's numbers for each.
#[derive(Debug)]
pub struct OnnxFaceFinder {
    model: OnnxModel,
    layout: Layout,
    options: FaceFinderOptions,
    /// SHA-256 of the model's file.
    digest: [u8; 32],
    /// The model prepared for sizes seen lately, the latest last.
    runners: Mutex<Vec<OnnxRunner>>,
}

impl OnnxFaceFinder {
    /// YuNet of March 2023, for photographs; it comes with the crate.
    ///
    /// # Errors
    /// When an option has a value that it cannot have.
    pub fn yunet(options: FaceFinderOptions) -> Result<Self, FaceError> {
        Self::new(OnnxModel::from_bytes(YUNET_NAME, YUNET)?, YUNET, options)
    }

    /// The detector in a file, such as one for drawings.
    ///
    /// # Errors
    /// When the file is no model that can be run, or no face detector of a known kind, or an option has a value that
    /// it cannot have.
    pub fn load(path: &Path, options: FaceFinderOptions) -> Result<Self, FaceError> {
        let model = OnnxModel::load(path)?;
        let bytes = fs::read(path).map_err(|cause| OnnxError::Read {
            path: path.into(),
            cause,
        })?;
        Self::new(model, &bytes, options)
    }

    fn new(model: OnnxModel, bytes: &[u8], options: FaceFinderOptions) -> Result<Self, FaceError> {
        check(&options)?;
        let layout = Layout::of(&model).map_err(|reason| FaceError::Layout {
            path: model.path().into(),
            reason,
        })?;
        let finder = Self {
            model,
            layout,
            options,
            digest: Sha256::digest(bytes).into(),
            runners: Mutex::default(),
        };
        // Tells of outputs that do not fit now instead of at the first picture.
        finder.find(&RgbImage::new(32, 32))?;
        Ok(finder)
    }

    fn faces_on(&self, canvas: &Canvas, picture: &RgbImage) -> Result<Vec<FaceBox>, FaceError> {
        let values = canvas
            .values(picture)
            .map_err(|reason| FaceError::Scale { reason })?;
        let outputs = self.runner(canvas.size)?.run(&values)?;
        let faces = self
            .layout
            .faces(&outputs, canvas.size, self.options.score)
            .map_err(|reason| FaceError::Layout {
                path: self.model.path().into(),
                reason,
            })?;
        Ok(faces
            .into_iter()
            .map(|face| canvas.back(face, picture.dimensions()))
            .filter(is_sound)
            .collect())
    }

    fn runner(&self, (width, height): (u32, u32)) -> Result<OnnxRunner, FaceError> {
        let shape = [1, 3, height as usize, width as usize];
        // What a panic elsewhere left behind is still a list of whole runners.
        let kept = || self.runners.lock().unwrap_or_else(PoisonError::into_inner);
        let known = {
            let mut kept = kept();
            let at = kept.iter().position(|runner| runner.shape() == shape);
            at.map(|at| kept.remove(at))
                .inspect(|runner| kept.push(runner.clone()))
        };
        if let Some(runner) = known {
            return Ok(runner);
        }
        let runner = self.model.at_shape(&shape)?;
        let mut kept = kept();
        if kept.len() >= SIZES_KEPT {
            kept.remove(0);
        }
        kept.push(runner.clone());
        Ok(runner)
    }
}

impl FaceFinder for OnnxFaceFinder {
    fn find(&self, picture: &RgbImage) -> Result<Vec<FaceBox>, FaceError> {
        if picture.width() == 0 || picture.height() == 0 {
            return Ok(Vec::new());
        }
        let mut faces = Vec::new();
        for canvas in self.layout.canvases(picture.dimensions(), &self.options) {
            faces.extend(self.faces_on(&canvas, picture)?);
        }
        Ok(non_maximum(faces, self.options.overlap, self.options.most))
    }

    fn fingerprint(&self) -> String {
        format!("{:?} {:?}", self.digest, self.options)
    }
}

/// Whether a box is one: its numbers are finite, and it has an area.
fn is_sound(face: &FaceBox) -> bool {
    [face.left, face.top, face.width, face.height]
        .iter()
        .all(|number| number.is_finite())
        && face.width > 0.0
        && face.height > 0.0
}

fn check(options: &FaceFinderOptions) -> Result<(), FaceError> {
    let share = |option, value: f32| {
        if (0.0..=1.0).contains(&value) {
            return Ok(());
        }
        Err(FaceError::Option {
            option,
            value: value.to_string(),
            expected: "a number from 0 to 1",
        })
    };
    share("score", options.score)?;
    share("overlap", options.overlap)?;
    if options.sides.is_empty() || options.sides.iter().any(|side| !SIDES.contains(side)) {
        return Err(FaceError::Option {
            option: "sides",
            value: format!("{:?}", options.sides),
            expected: "at least one, each from 32 to 4096 pixels",
        });
    }
    Ok(())
}

/// Beyond that a picture's numbers alone take gigabytes in the detector's first layers.
const SIDES: std::ops::RangeInclusive<u32> = 32..=4096;
