//! What a contact sheet says of a picture, on the page and on the PNG.

use lora_data::prepare::{CutMethod, PreparedState, SkipReason};

/// How the part that is kept was chosen.
pub(super) fn method(method: CutMethod) -> String {
    match method {
        CutMethod::Whole => "whole".to_owned(),
        CutMethod::Centre => "centre".to_owned(),
        CutMethod::Smart => "smart".to_owned(),
        CutMethod::Face { faces: 0 } => "part of a face".to_owned(),
        CutMethod::Face { faces: 1 } => "1 face".to_owned(),
        CutMethod::Face { faces } => format!("{faces} faces"),
        CutMethod::SmartWithoutFace => "smart, no face found".to_owned(),
        CutMethod::Box => "box".to_owned(),
    }
}

/// Why a picture was left out, where it was.
pub(super) fn fate(state: &PreparedState) -> Option<String> {
    let PreparedState::Skipped { reason } = state else {
        return None;
    };
    Some(match reason {
        SkipReason::TooSmall(size) => format!("left out: smaller than {size}"),
        SkipReason::BelowBucket(step) => format!("left out: less than a bucket's step of {step}"),
        SkipReason::Blurred => "left out: blurred".to_owned(),
        SkipReason::Duplicate(of) => format!("left out: copy of {of}"),
    })
}
