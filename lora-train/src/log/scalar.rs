use crate::{Event, StepReport, TIMESTEP_BINS};

/// A number that an event tells.
pub(super) struct Scalar {
    /// Its name in tables: that of the event's field where there is one.
    pub(super) column: &'static str,
    /// Its name in TensorBoard, where it belongs there.
    pub(super) tag: Option<&'static str>,
    /// Absent where it is unknown.
    pub(super) value: Option<f64>,
}

/// The names of the losses of stretches of timesteps, in thousandths of the noise schedule: Stable Diffusion's has 1,000.
const BY_TIMESTEP: [(&str, &str); TIMESTEP_BINS] = [
    ("loss_t000_099", "loss_by_timestep/000-099"),
    ("loss_t100_199", "loss_by_timestep/100-199"),
    ("loss_t200_299", "loss_by_timestep/200-299"),
    ("loss_t300_399", "loss_by_timestep/300-399"),
    ("loss_t400_499", "loss_by_timestep/400-499"),
    ("loss_t500_599", "loss_by_timestep/500-599"),
    ("loss_t600_699", "loss_by_timestep/600-699"),
    ("loss_t700_799", "loss_by_timestep/700-799"),
    ("loss_t800_899", "loss_by_timestep/800-899"),
    ("loss_t900_999", "loss_by_timestep/900-999"),
];

/// The step of an event that tells numbers, and all numbers that any event tells, in the order of a table's columns.
pub(super) fn scalars(event: &Event<'_>) -> Option<(u64, Vec<Scalar>)> {
    match *event {
        Event::Stepped(report) => Some((report.step, columns(Some(report), None))),
        Event::Measured { step, heldout_loss } => Some((step, columns(None, Some(heldout_loss)))),
        _ => None,
    }
}

/// The names of a table's columns behind the step.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    columns(None, None).into_iter().map(|scalar| scalar.column)
}

fn columns(report: Option<&StepReport>, heldout: Option<f64>) -> Vec<Scalar> {
    let of = |number: fn(&StepReport) -> f64| report.map(number);
    let some = |number: fn(&StepReport) -> Option<f64>| report.and_then(number);
    let table = |column, value| Scalar {
        column,
        tag: None,
        value,
    };
    let both = |column, tag, value| Scalar {
        column,
        tag: Some(tag),
        value,
    };
    let mut columns = vec![
        table("epoch", of(|report| report.epoch as f64)),
        both("loss", "loss/current", of(|report| report.loss)),
        both(
            "smooth_loss",
            "loss/smooth",
            of(|report| report.smooth_loss),
        ),
        both(
            "balanced_loss",
            "loss/balanced",
            some(|report| report.balanced_loss),
        ),
        both("heldout_loss", "loss/heldout", heldout),
        both(
            "learning_rate",
            "lr/unet",
            of(|report| report.learning_rate),
        ),
        both(
            "text_learning_rate",
            "lr/text_encoder",
            some(|report| report.text_learning_rate),
        ),
        both("grad_norm", "grad_norm", of(|report| report.grad_norm)),
        both(
            "steps_per_second",
            "speed/steps_per_second",
            of(|report| report.steps_per_second),
        ),
        both(
            "pictures_per_second",
            "speed/pictures_per_second",
            of(|report| report.pictures_per_second),
        ),
        table("seconds_left", of(|report| report.left.as_secs_f64())),
        both(
            "resident_bytes",
            "memory/resident_bytes",
            some(|report| report.resident_bytes.map(|bytes| bytes as f64)),
        ),
        both(
            "peak_resident_bytes",
            "memory/peak_resident_bytes",
            some(|report| report.peak_resident_bytes.map(|bytes| bytes as f64)),
        ),
    ];
    let by_timestep = BY_TIMESTEP.iter().enumerate();
    columns.extend(by_timestep.map(|(bin, &(column, tag))| {
        let value = report.and_then(|report| report.loss_by_timestep[bin]);
        both(column, tag, value)
    }));
    columns
}
