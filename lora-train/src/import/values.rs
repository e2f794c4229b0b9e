//! Values as other programs write them: numbers in quotes, zeros and empty strings for what is off.

use toml::Value;

pub(super) fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Integer(number) => Some(*number as f64),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A whole number, also where it is written `1.0`.
pub(super) fn whole(value: &Value) -> Option<i64> {
    number(value)
        .filter(|number| number.fract() == 0.0 && number.abs() < 1e15)
        .map(|number| number as i64)
}

pub(super) fn flag(value: &Value) -> Option<bool> {
    match value {
        Value::Boolean(flag) => Some(*flag),
        Value::Integer(number) => Some(*number != 0),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" | "" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    }
}

/// The parts of a list, be it one or a string with spaces.
pub(super) fn list(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        other => text(other).split_whitespace().map(str::to_owned).collect(),
    }
}

/// Whether a value says that something is not wanted.
pub(super) fn is_off(value: &Value) -> bool {
    match value {
        Value::Boolean(flag) => !flag,
        Value::Integer(number) => *number == 0,
        Value::Float(number) => *number == 0.0,
        Value::String(text) => {
            let text = text.trim();
            text.is_empty()
                || text.eq_ignore_ascii_case("none")
                || text.eq_ignore_ascii_case("false")
                || text.parse() == Ok(0.0)
        }
        Value::Array(values) => values.is_empty(),
        Value::Table(values) => values.is_empty(),
        Value::Datetime(_) => false,
    }
}

/// A value of Python's as text, as in `betas=0.9,0.99` or `decouple=True`; `None` for `None`.
pub(super) fn literal(text: &str) -> Option<Value> {
    let text = text.trim().trim_matches(['"', '\'']);
    let inner = text.trim_matches(['(', ')', '[', ']']);
    match text {
        "None" => None,
        "True" | "true" => Some(Value::Boolean(true)),
        "False" | "false" => Some(Value::Boolean(false)),
        _ if inner.contains(',') => {
            let parts = inner.split(',').filter(|part| !part.trim().is_empty());
            Some(Value::Array(parts.filter_map(literal).collect()))
        }
        _ => Some(match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::Integer(number),
            (_, Ok(number)) => Value::Float(number),
            _ => Value::String(text.to_owned()),
        }),
    }
}

/// A value of JSON; `null` is nothing.
pub(super) fn of_json(value: &serde_json::Value) -> Option<Value> {
    Some(match value {
        serde_json::Value::Null => return None,
        serde_json::Value::Bool(flag) => Value::Boolean(*flag),
        serde_json::Value::Number(number) => match number.as_i64() {
            Some(number) => Value::Integer(number),
            None => Value::Float(number.as_f64()?),
        },
        serde_json::Value::String(text) => Value::String(text.clone()),
        serde_json::Value::Array(values) => {
            Value::Array(values.iter().filter_map(of_json).collect())
        }
        serde_json::Value::Object(values) => Value::Table(
            values
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), of_json(value)?)))
                .collect(),
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_stand_in_quotes_and_wholes_have_a_point() {
        assert_eq!(number(&Value::String("1e-4".to_owned())), Some(1e-4));
        assert_eq!(whole(&Value::Float(2.0)), Some(2));
        assert_eq!(whole(&Value::Float(2.5)), None);
        assert_eq!(number(&Value::Boolean(true)), None);
    }

    #[test]
    fn literals_are_pythons() {
        assert_eq!(literal("True"), Some(Value::Boolean(true)));
        assert_eq!(literal("None"), None);
        let pair = Value::Array(vec![Value::Float(0.9), Value::Float(0.99)]);
        assert_eq!(literal("(0.9, 0.99)"), Some(pair.clone()));
        assert_eq!(literal("0.9,0.99"), Some(pair));
        assert_eq!(literal("'locon'"), Some(Value::String("locon".to_owned())));
    }

    #[test]
    fn what_is_off_is_zero_or_nothing() {
        for value in ["", "0", "0.0", "None", "false"] {
            assert!(is_off(&Value::String(value.to_owned())), "{value}");
        }
        assert!(!is_off(&Value::String("fp16".to_owned())));
    }
}
