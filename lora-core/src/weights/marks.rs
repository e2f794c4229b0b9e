use crate::{diffusion::PredictionType, safetensors_file::SafetensorsFile};

/// Sides in pixels that a picture in training may have had; anything else in a file is a mistake.
const SIDES: std::ops::RangeInclusive<u32> = 64..=8192;

/// What a single file says of its own training, beside its weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// What its UNet predicts: the velocity, if it has a tensor called `v_pred`, as fine-tunes of SDXL do, or else what
    /// `modelspec.prediction_type` in its metadata says.
    pub prediction_type: Option<PredictionType>,
    /// Whether it has a tensor called `ztsnr`: its noise was rescaled to end in pure noise (Lin et al. 2024).
    pub zero_terminal_snr: bool,
    /// Side in pixels of a square picture as large as `modelspec.resolution` in its metadata.
    pub native_side: Option<u32>,
}

impl Marks {
    pub(super) fn of(file: &SafetensorsFile) -> Self {
        let has = |name| file.info(name).is_some();
        let metadata = || match file.metadata("modelspec.prediction_type")? {
            "v" => Some(PredictionType::VPrediction),
            "epsilon" => Some(PredictionType::Epsilon),
            _ => None,
        };
        let marked = has("v_pred").then_some(PredictionType::VPrediction);
        Self {
            prediction_type: marked.or_else(metadata),
            zero_terminal_snr: has("ztsnr"),
            native_side: file.metadata("modelspec.resolution").and_then(square_side),
        }
    }
}

/// The side of the square with as many pixels as `resolution`, such as `768x768`, to the nearest 64.
fn square_side(resolution: &str) -> Option<u32> {
    let (width, height) = resolution.split_once('x')?;
    let side = |text: &str| {
        let side = text.trim().parse().ok();
        side.filter(|side: &u32| SIDES.contains(side))
    };
    let area = f64::from(side(width)?) * f64::from(side(height)?);
    Some(64 * (area.sqrt() / 64.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolution_is_the_side_of_a_square_of_its_area() {
        for (text, side) in [
            ("768x768", Some(768)),
            ("512x512", Some(512)),
            ("1024 x 576", Some(768)),
            ("640x448", Some(512)),
            ("768", None),
            ("0x512", None),
            ("4294967295x4294967295", None),
            ("-768x768", None),
        ] {
            assert_eq!(square_side(text), side, "{text}");
        }
    }
}
