//! What the template of a plan sees.

use lora_data::{DecodeOptions, decode_picture};
use serde::Serialize;

use crate::{PicturePlan, Plan, picture::data_uri::thumbnail};

/// One picture of the plan.
#[derive(Serialize)]
pub(super) struct PictureView {
    name: String,
    caption: String,
    facts: String,
    /// The words that are cut off; empty where none is.
    cut_words: String,
    /// The thumbnail; empty where the picture cannot be read any more.
    uri: String,
    /// What is cut off at each side, in per cent of the whole.
    left: f64,
    top: f64,
}

/// The numbers worth reading first.
pub(super) fn numbers(plan: &Plan) -> Vec<(&'static str, String)> {
    vec![
        ("pictures", plan.images.to_string()),
        ("showings an epoch", plan.exposures_per_epoch.to_string()),
        ("steps an epoch", plan.steps_per_epoch.to_string()),
        ("epochs", plan.epochs.to_string()),
        ("steps", plan.steps.to_string()),
        ("saved files", plan.saved_epochs.len().to_string()),
    ]
}

impl PictureView {
    /// Decodes the picture, makes it small and lets go of it.
    pub(super) fn new(picture: &PicturePlan) -> Self {
        let name = picture.image.file_name().unwrap_or_default();
        let decoded = decode_picture(&picture.image, &DecodeOptions::default());
        let uri = decoded
            .ok()
            .and_then(|decoded| thumbnail(&decoded.picture).ok());
        let percent = |part: f64| (part * 5000.0).round() / 100.0;
        Self {
            name: name.to_string_lossy().into_owned(),
            caption: picture.caption.clone(),
            facts: facts(picture),
            cut_words: picture.cut_words.clone(),
            uri: uri.unwrap_or_default(),
            left: percent(picture.framing.cut_width),
            top: percent(picture.framing.cut_height),
        }
    }
}

fn facts(picture: &PicturePlan) -> String {
    let (width, height) = picture.size;
    let (target_width, target_height) = picture.target;
    let cut = match picture.cut_tokens {
        0 => String::new(),
        cut => format!(", {cut} of them cut off"),
    };
    format!(
        "{width}×{height} → {target_width}×{target_height} (× {:.2}), {:.0} % cut off; shown {} times; {} tokens{cut}",
        picture.framing.scale,
        100.0 * picture.framing.cut(),
        picture.exposures,
        picture.tokens
    )
}
