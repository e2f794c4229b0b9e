//! What a model was trained on and to predict, of all who say something about it.

use super::ModelConfigs;
use crate::{
    Family, ModelSource,
    diffusion::PredictionType::{Epsilon, VPrediction},
    weights::Marks,
};

/// Side of the pictures that SD 2.x was trained on to predict the velocity.
const VELOCITY_SIDE: u32 = 768;
/// Side of the pictures that SD 2.x *base* was trained on to predict the noise.
const NOISE_SIDE: u32 = 512;

/// Settles prediction type, end of the noise and native side: `source` overrules a file's `marks`, and these the
/// published configs. There are marks where the configs are published ones only.
///
/// Gives what a user may not expect.
pub(super) fn settle(
    configs: &mut ModelConfigs,
    marks: Option<Marks>,
    source: &ModelSource,
) -> Vec<String> {
    let marked = marks.unwrap_or_default();
    let told = source.prediction_type.or(marked.prediction_type);
    let scheduler = &mut configs.scheduler;
    scheduler.prediction_type = told.unwrap_or(scheduler.prediction_type);
    let predicts_velocity = scheduler.prediction_type == VPrediction;
    // Whoever overrules the prediction of a marked file does not mean its noise, of which nothing can be predicted.
    let marked_zero = marked.zero_terminal_snr && predicts_velocity;
    scheduler.rescale_betas_zero_snr = source
        .zero_terminal_snr
        .unwrap_or(scheduler.rescale_betas_zero_snr || marked_zero);

    let mut notes = Vec::new();
    if scheduler.rescale_betas_zero_snr && scheduler.prediction_type == Epsilon {
        notes.push(
            "zero terminal SNR is for models that predict the velocity; this one predicts the noise, of which there is \
             nothing to learn where there is nothing else"
                .to_owned(),
        );
    }
    if configs.family == Family::Sd2 && marks.is_some() {
        let usual = if predicts_velocity {
            VELOCITY_SIDE
        } else {
            NOISE_SIDE
        };
        configs.set_native_side(marked.native_side.unwrap_or(usual));
        if told.is_none() {
            notes.push(
                "this SD 2.x file does not tell what it predicts; taken for velocity, as 2.1 at 768 pixels does. For \
                 2.x base models say that it is not (model.v_prediction = false in a run file, --v-prediction=false \
                 on the command line)"
                    .to_owned(),
            );
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::PredictionType;

    struct Case {
        family: Family,
        marks: Option<Marks>,
        told: Option<PredictionType>,
        zero: Option<bool>,
    }

    /// Predicts velocity, ends in pure noise, native side, number of notes.
    fn settled(case: &Case) -> (bool, bool, u32, usize) {
        let mut configs = ModelConfigs::published(case.family);
        let source = ModelSource {
            prediction_type: case.told,
            zero_terminal_snr: case.zero,
            ..ModelSource::default()
        };
        let notes = settle(&mut configs, case.marks, &source);
        let scheduler = &configs.scheduler;
        (
            scheduler.prediction_type == VPrediction,
            scheduler.rescale_betas_zero_snr,
            configs.native_side(),
            notes.len(),
        )
    }

    #[test]
    fn who_says_it_nearest_to_the_user_is_followed() {
        use Family::{Sd1, Sd2, Sdxl};
        let (none, plain) = (None, Some(Marks::default()));
        let says = |prediction_type, zero_terminal_snr, native_side| {
            Some(Marks {
                prediction_type,
                zero_terminal_snr,
                native_side,
            })
        };
        let (v, e) = (Some(VPrediction), Some(Epsilon));
        let case = |family, marks, told, zero| Case {
            family,
            marks,
            told,
            zero,
        };
        let cases = [
            // Configs of its own: followed, unless overruled.
            (case(Sd1, none, None, None), (false, false, 512, 0)),
            (case(Sd2, none, None, None), (true, false, 768, 0)),
            (case(Sd2, none, e, None), (false, false, 768, 0)),
            (case(Sdxl, none, v, Some(true)), (true, true, 1024, 0)),
            // A single file of SD 2.x: 768 pixels and velocity go together.
            (case(Sd2, plain, None, None), (true, false, 768, 1)),
            (case(Sd2, plain, v, None), (true, false, 768, 0)),
            (case(Sd2, plain, e, None), (false, false, 512, 0)),
            (
                case(Sd2, says(e, false, None), None, None),
                (false, false, 512, 0),
            ),
            (
                case(Sd2, says(v, false, Some(512)), None, None),
                (true, false, 512, 0),
            ),
            (
                case(Sd2, says(v, false, None), e, None),
                (false, false, 512, 0),
            ),
            (
                case(Sd2, says(None, false, Some(640)), e, None),
                (false, false, 640, 0),
            ),
            // Other families have one resolution, whatever they were tuned on.
            (
                case(Sdxl, says(None, false, Some(512)), None, None),
                (false, false, 1024, 0),
            ),
            // The end of the noise belongs to the velocity.
            (
                case(Sdxl, says(v, true, None), None, None),
                (true, true, 1024, 0),
            ),
            (
                case(Sdxl, says(v, true, None), e, None),
                (false, false, 1024, 0),
            ),
            (
                case(Sdxl, says(None, true, None), None, None),
                (false, false, 1024, 0),
            ),
            (
                case(Sdxl, says(v, true, None), None, Some(false)),
                (true, false, 1024, 0),
            ),
            (case(Sd1, plain, None, Some(true)), (false, true, 512, 1)),
        ];
        for (index, (case, expected)) in cases.into_iter().enumerate() {
            assert_eq!(settled(&case), expected, "case {index}");
        }
    }
}
