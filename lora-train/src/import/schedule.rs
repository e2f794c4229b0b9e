use toml::Value;

use super::{importer::Importer, network::map_number, options::Given, values};

/// kohya's names that are other names here.
const KINDS: [(&str, &str); 8] = [
    ("constant", "constant"),
    ("constant_with_warmup", "constant_with_warmup"),
    ("linear", "linear"),
    ("cosine", "cosine"),
    ("cosine_with_restarts", "cosine_with_restarts"),
    ("polynomial", "polynomial"),
    ("inverse_sqrt", "inverse_sqrt"),
    ("cosine_with_min_lr", "cosine"),
];

/// The course of the learning rate.
pub(super) fn read(importer: &mut Importer) {
    let name = kind(importer);
    let is = |kind: &str| name == kind;
    for (option, setting, is_used, of) in [
        (
            "lr_scheduler_num_cycles",
            "schedule.cycles",
            is("cosine_with_restarts"),
            "cosine_with_restarts",
        ),
        (
            "lr_scheduler_power",
            "schedule.power",
            is("polynomial"),
            "polynomial",
        ),
        (
            "lr_scheduler_timescale",
            "schedule.timescale",
            is("inverse_sqrt"),
            "inverse_sqrt",
        ),
        (
            "lr_scheduler_min_lr_ratio",
            "schedule.min_factor",
            is("cosine_with_min_lr"),
            "cosine_with_min_lr",
        ),
    ] {
        let Some(given) = importer.take(option) else {
            continue;
        };
        let whole = values::whole(&given.value).map(Value::Integer);
        match whole.filter(|whole| Importer::may_say(setting, whole)) {
            _ if !is_used => importer.not_needed(&given, &format!("only {of} goes by it")),
            _ if values::text(&given.value).is_empty() => {
                importer.not_needed(&given, "it is empty");
            }
            Some(whole) => importer.map(&given, [(setting, whole)]),
            None => map_number(importer, &given, setting),
        }
    }
    warmup(importer, &name);
    if let Some(given) = importer.take_on("lr_decay_steps") {
        importer.not_needed(
            &given,
            "only warmup_stable_decay goes by it, which is not here",
        );
    }
    for option in ["lr_scheduler_type", "lr_scheduler_args"] {
        if let Some(given) = importer.take_on(option) {
            importer.not_supported(
                &given,
                "schedules of other packages are not here; schedule.kind has nine shapes",
            );
        }
    }
}

/// Sets the kind; kohya's name of it.
fn kind(importer: &mut Importer) -> String {
    let optimizer = importer.config().optimizer;
    let given = importer.take("lr_scheduler");
    let name = given
        .as_ref()
        .map(|given| values::text(&given.value))
        .filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| "constant".to_owned());
    let Some(given) = given else {
        return name;
    };
    let is_ignored = optimizer.name() == "AdamWScheduleFree"
        || (optimizer.name() == "Adafactor" && optimizer.finds_its_rate());
    if is_ignored {
        importer.not_needed(&given, "this optimiser has no schedule, here as there");
        return "constant".to_owned();
    }
    if let Some((_, ours)) = KINDS.iter().find(|(theirs, _)| *theirs == name) {
        importer.map(&given, [("schedule.kind", (*ours).into())]);
    } else {
        let is_level = name == "piecewise_constant" || name.starts_with("adafactor");
        let closest = if is_level {
            "constant"
        } else {
            "constant_with_warmup"
        };
        let reason = format!("there is no {name}");
        importer.replace(&given, &reason, [("schedule.kind", closest.into())]);
    }
    name
}

fn warmup(importer: &mut Importer, name: &str) {
    let Some(given) = importer.take_on("lr_warmup_steps") else {
        return;
    };
    if name == "constant" || name.starts_with("adafactor") {
        return importer.not_needed(&given, "a constant rate has no warm-up");
    }
    match warmup_of(&given) {
        Some(warmup) => importer.map(&given, [("schedule.warmup", warmup)]),
        None => importer.not_a(
            &given,
            "a number of steps, or a fraction of the run below 1",
        ),
    }
}

/// Steps, or below 1 a fraction of the run.
fn warmup_of(given: &Given) -> Option<Value> {
    let number = values::number(&given.value)?;
    if (0.0..1.0).contains(&number) {
        return Some(number.into());
    }
    values::whole(&given.value)
        .filter(|steps| *steps > 0)
        .map(Value::Integer)
}
