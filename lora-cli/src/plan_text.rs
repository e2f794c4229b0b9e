//! A plan in words.

use lora_train::{Plan, config::TrainConfig};

/// How the number of steps comes about, in two or three lines.
pub(crate) fn steps(config: &TrainConfig, plan: &Plan) -> String {
    let train = &config.train;
    let mut text = format!("{} pictures, {} with repeats", plan.images, plan.exposures_per_epoch);
    text += &format!(" / batch {} = {} batches", train.batch_size, plan.batches_per_epoch);
    if train.accumulation.get() > 1 {
        text += &format!(" / {} accumulated = {} steps", train.accumulation, plan.steps_per_epoch);
    }
    text += &format!(" an epoch\n{} epochs", train.epochs);
    let whole = plan.steps_per_epoch * train.epochs;
    text += &match train.max_steps {
        Some(most) if most < whole => {
            format!(" = {whole} steps, of which train.max_steps takes the first {}", plan.steps)
        }
        _ => format!(" = {} steps", plan.steps),
    };
    text
}

/// The files that will be saved.
pub(crate) fn files(config: &TrainConfig, plan: &Plan) -> String {
    let name = |epoch: &u64| format!("{}-{epoch:06}", config.output.name);
    let list = match plan.saved_epochs.as_slice() {
        [] => String::new(),
        [only] => name(only),
        [first, last] => format!("{}, {}", name(first), name(last)),
        [first, .., last] => format!("{} … {}", name(first), name(last)),
    };
    format!("{} files: {list}, in {}", plan.saved_epochs.len(), config.output.folder.display())
}
