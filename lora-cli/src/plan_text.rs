//! A plan in words.

use lora_train::{Plan, config::TrainConfig};

/// How the number of steps comes about, in two lines.
pub(crate) fn steps(config: &TrainConfig, plan: &Plan) -> String {
    let train = &config.train;
    let accumulated = match train.accumulation.get() {
        1 => String::new(),
        _ => format!(
            " / {} accumulated = {} steps",
            train.accumulation, plan.steps_per_epoch
        ),
    };
    let whole = plan.steps_per_epoch * train.epochs;
    let taken = match train.max_steps {
        Some(most) if most < whole => {
            format!(
                "{whole} steps, of which train.max_steps takes the first {}",
                plan.steps
            )
        }
        _ => format!("{} steps", plan.steps),
    };
    format!(
        "{} pictures, {} with repeats / batch {} = {} batches{accumulated} an epoch\n{} epochs = {taken}",
        plan.images,
        plan.exposures_per_epoch,
        train.batch_size,
        plan.batches_per_epoch,
        train.epochs
    )
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
    format!(
        "{} files: {list}, in {}",
        plan.saved_epochs.len(),
        config.output.folder.display()
    )
}
