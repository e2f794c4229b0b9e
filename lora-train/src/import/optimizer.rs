use toml::Value;

use super::{importer::Importer, options::Given, values};

/// kohya's names in small letters, and ours.
const KINDS: [(&str, &str); 13] = [
    ("adamw", "adamw"),
    ("adamw8bit", "adamw8bit"),
    ("pagedadamw", "adamw"),
    ("pagedadamw32bit", "adamw"),
    ("pagedadamw8bit", "adamw8bit"),
    ("lion", "lion"),
    ("lion8bit", "lion8bit"),
    ("pagedlion8bit", "lion8bit"),
    ("sgdnesterov", "sgd"),
    ("adafactor", "adafactor"),
    ("dadaptadam", "dadapt-adam"),
    ("dadaptlion", "dadapt-lion"),
    ("dadaptsgd", "dadapt-sgd"),
];

/// Those that come closest to what is not here.
const CLOSEST: [(&str, &str); 9] = [
    ("sgdnesterov8bit", "sgd"),
    ("dadaptation", "dadapt-adam"),
    ("dadaptadampreprint", "dadapt-adam"),
    ("dadaptadagrad", "dadapt-adam"),
    ("dadaptadan", "dadapt-adam"),
    ("dadaptadanip", "dadapt-adam"),
    ("radamschedulefree", "adamw-schedule-free"),
    ("sgdschedulefree", "adamw-schedule-free"),
    ("prodigyplus.prodigyplusschedulefree", "prodigy"),
];

/// The optimiser and its settings.
pub(super) fn read(importer: &mut Importer) {
    let given = importer.take("optimizer_type");
    let old = ["use_8bit_adam", "use_lion_optimizer"].map(|option| importer.take_on(option));
    let name = given
        .as_ref()
        .map(|given| values::text(&given.value))
        .unwrap_or_default();
    match (&given, old) {
        (Some(given), old) if !name.is_empty() => {
            kind(importer, given, &name);
            for old in old.into_iter().flatten() {
                importer.not_needed(&old, "optimizer_type goes before it");
            }
        }
        (given, [adam, lion]) => {
            if let Some(given) = given {
                importer.not_needed(given, "it is empty, which is AdamW");
            }
            if let Some(given) = adam {
                kind(importer, &given, "adamw8bit");
            }
            if let Some(given) = lion {
                kind(importer, &given, "lion");
            }
        }
    }
    let settings = std::mem::take(&mut importer.options.optimizer);
    let mine = importer.config().optimizer;
    if mine.name() == "Adafactor" {
        // transformers' and kohya's defaults, which ignore the learning rate.
        for setting in ["relative_step", "scale_parameter"] {
            if !settings.contains_key(setting) {
                let option = format!("optimizer_args: {setting}");
                let name = if setting == "relative_step" {
                    "optimizer.relative_step"
                } else {
                    "optimizer.scale_parameter"
                };
                importer.default_of_kohya(&option, [(name, true.into())]);
            }
        }
    }
    for (key, given) in settings {
        argument(importer, &key, &given, mine.name());
    }
}

fn kind(importer: &mut Importer, given: &Given, name: &str) {
    let small = name.to_lowercase();
    let set = |kind: &str| [("optimizer.kind", Value::from(kind))];
    let find = |table: &[(&str, &'static str)]| {
        table
            .iter()
            .find(|(theirs, _)| *theirs == small)
            .map(|(_, ours)| *ours)
    };
    let more = [
        ("prodigy", "prodigy"),
        ("adamwschedulefree", "adamw-schedule-free"),
    ];
    if let Some(ours) = find(&KINDS).or_else(|| find(&more)) {
        return importer.map(given, set(ours));
    }
    let ours = find(&CLOSEST).unwrap_or("adamw");
    importer.replace(given, &format!("there is no {name}"), set(ours));
}

/// A part of `optimizer_args`.
fn argument(importer: &mut Importer, key: &str, given: &Given, optimizer: &str) {
    let Some(value) = values::literal(&values::text(&given.value)) else {
        return importer.not_needed(given, "None leaves it unset, as here");
    };
    let setting = format!("optimizer.{key}");
    let setting = SETTINGS.iter().find(|known| **known == setting);
    let is_kind = |setting: &&'static str| importer.may_be_of_the_optimizer(setting, &value);
    match setting.copied().filter(is_kind) {
        Some(setting) => importer.map(given, [(setting, value)]),
        None => importer.not_supported(
            given,
            &format!("{optimizer} has no such setting, or not of such a value, here"),
        ),
    }
}

/// Settings of optimisers that have the same name there.
const SETTINGS: [&str; 19] = [
    "optimizer.betas",
    "optimizer.eps",
    "optimizer.weight_decay",
    "optimizer.decouple",
    "optimizer.momentum",
    "optimizer.nesterov",
    "optimizer.d0",
    "optimizer.growth_rate",
    "optimizer.use_bias_correction",
    "optimizer.d_coef",
    "optimizer.beta3",
    "optimizer.safeguard_warmup",
    "optimizer.r",
    "optimizer.weight_lr_power",
    "optimizer.relative_step",
    "optimizer.warmup_init",
    "optimizer.scale_parameter",
    "optimizer.clip_threshold",
    "optimizer.decay_rate",
];
