//! What the metadata says of the family of the base model.

use std::collections::BTreeMap;

use super::python_text::boolean;
use crate::Family;

/// The version of Stability AI's model metadata standard that `modelspec.*` follows.
const MODEL_SPEC: &str = "1.0.1";
/// The program that made the weights, with its version.
const PROGRAM: &str = concat!("lora/", env!("CARGO_PKG_VERSION"));

/// `ss_*` and `modelspec.*` entries that depend on nothing else.
pub(crate) fn family_entries(family: Family, v_prediction: bool) -> BTreeMap<String, String> {
    let prediction = if v_prediction { "v" } else { "epsilon" };
    [
        (
            "modelspec.architecture",
            architecture(family, v_prediction).to_owned(),
        ),
        (
            "modelspec.implementation",
            implementation(family).to_owned(),
        ),
        ("modelspec.implementation_version", PROGRAM.to_owned()),
        ("modelspec.prediction_type", prediction.to_owned()),
        ("modelspec.sai_model_spec", MODEL_SPEC.to_owned()),
        (
            "ss_base_model_version",
            base_model_version(family, v_prediction).to_owned(),
        ),
        ("ss_v2", boolean(family == Family::Sd2)),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// sd-scripts' name of the base model's kind; SDXL has one, whatever its network predicts.
fn base_model_version(family: Family, v_prediction: bool) -> &'static str {
    match (family, v_prediction) {
        (Family::Sd1, false) => "sd_v1",
        (Family::Sd1, true) => "sd_v1_v",
        (Family::Sd2, false) => "sd_v2",
        (Family::Sd2, true) => "sd_v2_v",
        (Family::Sdxl, _) => "sdxl_base_v1-0",
    }
}

fn architecture(family: Family, v_prediction: bool) -> &'static str {
    match (family, v_prediction) {
        (Family::Sd1, _) => "stable-diffusion-v1/lora",
        (Family::Sd2, false) => "stable-diffusion-v2-512/lora",
        (Family::Sd2, true) => "stable-diffusion-v2-768-v/lora",
        (Family::Sdxl, _) => "stable-diffusion-xl-v1-base/lora",
    }
}

/// The implementation whose module names the weights carry, not the program that made them.
fn implementation(family: Family) -> &'static str {
    match family {
        Family::Sd1 | Family::Sd2 => "diffusers",
        Family::Sdxl => "https://github.com/Stability-AI/generative-models",
    }
}
