use clap::builder::{PossibleValuesParser, TypedValueParser};
use lora_core::Family;

/// A family of base models by its short name.
pub(crate) fn family() -> impl TypedValueParser<Value = Family> {
    PossibleValuesParser::new(["sd1", "sd2", "sdxl"]).map(|name| match name.as_str() {
        "sd2" => Family::Sd2,
        "sdxl" => Family::Sdxl,
        _ => Family::Sd1,
    })
}
