use toml::Value;

use super::{importer::Importer, options::Given, values};

/// kohya's `learning_rate` where none is given.
const USUAL_RATE: f64 = 2e-6;
/// kohya's `max_train_steps` where neither steps nor epochs are given.
const USUAL_STEPS: i64 = 1600;

/// How fast each part learns, how long, and how often a file is saved.
pub(super) fn read(importer: &mut Importer) {
    rates(importer);
    length(importer);
}

fn rates(importer: &mut Importer) {
    let common = importer.take("learning_rate");
    let unet = importer.take("unet_lr");
    let text = importer.take("text_encoder_lr");
    let unet_only = importer.take_on("network_train_unet_only");
    let text_only = importer.take_on("network_train_text_encoder_only");
    let numbers = |given: &Option<Given>| -> Vec<f64> {
        let value = given.as_ref().map(|given| &given.value);
        let parts = value.map(values::list).unwrap_or_default();
        parts.iter().filter_map(|part| part.parse().ok()).collect()
    };
    let first = |given: &Option<Given>| numbers(given).first().copied();
    let usual = first(&common).unwrap_or(USUAL_RATE);
    // An optimiser that ignores the rate takes it for a factor here.
    let ignored = importer.config().optimizer.finds_its_rate()
        && importer.config().optimizer.name() == "Adafactor";
    let rate = |own: Option<f64>| if ignored { 1.0 } else { own.unwrap_or(usual) };
    let unet_rate = if text_only.is_some() {
        0.0
    } else {
        rate(first(&unet))
    };
    let text_rate = if unet_only.is_some() {
        0.0
    } else {
        rate(first(&text))
    };
    let second = numbers(&text).get(1).copied().filter(|second| {
        !ignored && unet_only.is_none() && second.to_bits() != text_rate.to_bits()
    });
    let unet_setting = ("train.unet_lr", Value::from(unet_rate));
    let mut text_settings = vec![("train.text_lr", Value::from(text_rate))];
    text_settings.extend(second.map(|second| ("train.text_lr_2", Value::from(second))));

    let both = [unet_setting.clone()]
        .into_iter()
        .chain(text_settings.clone());
    match (&common, first(&unet), first(&text)) {
        (Some(given), Some(_), Some(_)) => {
            importer.not_needed(given, "unet_lr and text_encoder_lr go before it");
        }
        (Some(given), ..) if first(&common).is_some() => importer.map(given, both.clone()),
        (Some(given), ..) => importer.not_a(given, "a number"),
        (None, ..) => {}
    }
    if common.is_none() && (first(&unet).is_none() || first(&text).is_none()) {
        importer.default_of_kohya("learning_rate", both.clone());
    }
    for (given, number, settings, only) in [
        (&unet, first(&unet), vec![unet_setting.clone()], &text_only),
        (&text, first(&text), text_settings.clone(), &unet_only),
    ] {
        match (given, number, only) {
            (Some(given), _, Some(only)) => {
                importer.not_needed(given, &format!("{} goes before it", only.origin));
            }
            (Some(given), Some(_), _) => importer.map(given, settings),
            (Some(given), None, _) => {
                importer.not_needed(given, "without a number, learning_rate counts");
            }
            (None, ..) => {}
        }
    }
    for (given, settings) in [(unet_only, text_settings), (text_only, vec![unet_setting])] {
        if let Some(given) = given {
            importer.map(&given, settings);
        }
    }
}

fn length(importer: &mut Importer) {
    let epochs = importer.take_on("max_train_epochs");
    let steps = importer.take_on("max_train_steps");
    let number = |given: &Option<Given>| {
        given
            .as_ref()
            .and_then(|given| values::whole(&given.value))
            .filter(|number| *number > 0)
    };
    let (whole_epochs, whole_steps) = (number(&epochs), number(&steps));
    for (given, number) in [(&epochs, whole_epochs), (&steps, whole_steps)] {
        if let (Some(given), None) = (given, number) {
            importer.not_a(given, "a whole number from 1 up");
        }
    }
    // As many epochs as it takes: an epoch has a step at least.
    let until = |steps: i64| {
        [
            ("train.max_steps", Value::from(steps)),
            ("train.epochs", Value::from(steps)),
        ]
    };
    match (
        epochs.filter(|_| whole_epochs.is_some()),
        whole_epochs,
        steps.filter(|_| whole_steps.is_some()),
        whole_steps,
    ) {
        (Some(given), Some(epochs), steps, _) => {
            importer.map(&given, [("train.epochs", epochs.into())]);
            if let Some(given) = steps {
                importer.not_needed(&given, "max_train_epochs goes before it");
            }
        }
        (_, _, Some(given), Some(steps)) => importer.map(&given, until(steps)),
        _ => importer.default_of_kohya("max_train_steps", until(USUAL_STEPS)),
    }
    let last = importer.config().train.epochs as i64;
    let only_last = [("output.save_every_epochs", Value::from(last))];
    match importer.take("save_every_n_epochs") {
        Some(given) => match values::whole(&given.value).filter(|every| *every > 0) {
            Some(every) => importer.map(&given, [("output.save_every_epochs", every.into())]),
            None => importer.map(&given, only_last),
        },
        None => importer.default_of_kohya("save_every_n_epochs", only_last),
    }
    if importer.text("save_precision").is_none() {
        importer
            .take("save_precision")
            .into_iter()
            .for_each(|given| importer.not_needed(&given, "it is empty"));
        importer.default_of_kohya("save_precision", [("output.dtype", "f32".into())]);
    }
    match importer.take_on("output_name") {
        Some(given) => importer.map(&given, [("output.name", values::text(&given.value).into())]),
        None => importer.default_of_kohya("output_name", [("output.name", "last".into())]),
    }
    if let Some(given) = importer.take("save_model_as") {
        match values::text(&given.value).as_str() {
            "" | "safetensors" => importer.not_needed(&given, "files are always safetensors"),
            _ => importer.not_supported(
                &given,
                "files are always safetensors, which all programs read",
            ),
        }
    }
}
