use toml::Value;

use super::{
    Fate,
    importer::Importer,
    option_table::{
        RULES,
        Rule::{
            self, Choice, Count, Elsewhere, Flag, NotNeeded, NotSupported, Number, Strength, Text,
        },
    },
    options::Given,
    values,
};

/// Whether `train_network.py` has the option.
pub(super) fn is_option(key: &str) -> bool {
    RULES.iter().any(|(option, _)| *option == key)
}

/// What becomes of all options that stand for themselves, and of those that are unknown.
pub(super) fn read(importer: &mut Importer) {
    for (option, given) in std::mem::take(&mut importer.options.plain) {
        if let Some((_, rule)) = RULES.iter().find(|(name, _)| *name == option) {
            follow(importer, &given, *rule);
        } else {
            let meant = nearest(&given.origin);
            importer.tell(&given, Fate::Unknown { meant });
        }
    }
}

fn follow(importer: &mut Importer, given: &Given, rule: Rule) {
    let value = &given.value;
    let number = || values::number(value).map(Value::Float);
    let whole = || values::whole(value).map(Value::Integer);
    match rule {
        Count("checkpoint.keep") | Strength(_) | Text(_) | NotSupported(_)
            if values::is_off(value) =>
        {
            importer.not_needed(given, "it is off, as here");
        }
        Number(setting) => set(importer, given, setting, number(), "a number"),
        Count(setting) => set(importer, given, setting, whole(), "a whole number"),
        Flag(setting) => set(
            importer,
            given,
            setting,
            values::flag(value).map(Value::Boolean),
            "true or false",
        ),
        Strength(setting) => {
            // Some are whole numbers here, some are not.
            let whole = whole().filter(|whole| Importer::may_say(setting, whole));
            set(importer, given, setting, whole.or_else(number), "a number");
        }
        Text(setting) => set(
            importer,
            given,
            setting,
            Some(Value::String(values::text(value))),
            "a text",
        ),
        Choice(setting, words) => {
            let text = values::text(value);
            let ours = words
                .iter()
                .find(|(theirs, _)| theirs.eq_ignore_ascii_case(&text));
            let names: Vec<&str> = words.iter().map(|(theirs, _)| *theirs).collect();
            let expected = format!("one of {}", names.join(", "));
            set(
                importer,
                given,
                setting,
                ours.map(|(_, ours)| (*ours).into()),
                &expected,
            );
        }
        NotNeeded(reason) => importer.not_needed(given, reason),
        NotSupported(reason) => importer.not_supported(given, reason),
        Elsewhere => importer.not_needed(given, "nothing in this config depends on it"),
    }
}

fn set(
    importer: &mut Importer,
    given: &Given,
    setting: &'static str,
    value: Option<Value>,
    expected: &str,
) {
    let Some(value) = value else {
        return importer.not_a(given, expected);
    };
    let (section, key) = setting.split_once('.').unwrap_or((setting, ""));
    if matches!(section, "objective" | "timesteps") && values::is_off(&value) {
        return importer.not_needed(given, "it is off, as here");
    }
    if Importer::may_say(setting, &value) {
        importer.map(given, [(setting, value)]);
    } else if matches!(section, "objective" | "timesteps") {
        importer.not_supported(
            given,
            &format!("the loss here has no {key}; without it results differ"),
        );
    } else {
        importer.not_a(given, expected);
    }
}

/// The option whose name is nearest, if it is near.
fn nearest(key: &str) -> Option<String> {
    let distance = |name: &str| strsim::damerau_levenshtein(key, name);
    let names = RULES.iter().map(|(option, _)| *option);
    let nearest = names.min_by_key(|name| distance(name))?;
    (distance(nearest) <= 1 + key.len() / 5).then(|| nearest.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_has_one_rule() {
        for (index, (option, _)) in RULES.iter().enumerate() {
            assert!(
                RULES[..index].iter().all(|(other, _)| other != option),
                "{option}"
            );
        }
    }

    #[test]
    fn a_slip_of_the_pen_is_named() {
        assert_eq!(nearest("network_dims").as_deref(), Some("network_dim"));
        assert_eq!(nearest("blocks_to_swap"), None);
    }
}
