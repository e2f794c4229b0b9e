use std::path::PathBuf;

use clap::Args;
use lora_data::faces::{FaceError, FaceFinderOptions, OnnxFaceFinder};

/// The face detector, and how it looks at pictures.
#[derive(Args, Debug)]
#[command(next_help_heading = "Finding faces")]
pub(crate) struct FinderArguments {
    /// A face detector's ONNX file; YuNet when left out
    #[arg(short, long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// The least score of a face, 0 to 1
    #[arg(long, value_name = "SCORE", default_value_t = FaceFinderOptions::default().score)]
    score: f32,
    /// Of two faces that overlap by more than this share, only the surer one counts
    #[arg(long, value_name = "SHARE", default_value_t = FaceFinderOptions::default().overlap)]
    overlap: f32,
    /// The longest sides at which YuNet looks at a picture; add 1280 for faces far away
    #[arg(long, value_name = "PIXELS", value_delimiter = ',', default_values_t = FaceFinderOptions::default().sides)]
    sides: Vec<u32>,
}

impl FinderArguments {
    /// Reads the detector.
    ///
    /// # Errors
    /// When its model cannot be used, or an option has a value that it cannot have.
    pub(crate) fn load(&self) -> Result<OnnxFaceFinder, FaceError> {
        let options = FaceFinderOptions {
            sides: self.sides.clone(),
            score: self.score,
            overlap: self.overlap,
            ..FaceFinderOptions::default()
        };
        match &self.model {
            Some(path) => OnnxFaceFinder::load(path, options),
            None => OnnxFaceFinder::yunet(options),
        }
    }
}
