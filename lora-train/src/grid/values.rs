//! Lists of values as A1111's X/Y/Z plot writes them: `1,2,3`, `1-5`, `1-10 (+2)`, `0-1 [5]`.

use std::str::FromStr;

use thiserror::Error;

/// More values than this on one axis are a slip of the hand.
const MOST_VALUES: usize = 10_000;

/// Why a list of values cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ValuesError {
    /// An item is neither a value nor a range.
    #[error("`{item}` is neither {wanted} nor a range such as 1-5, 1-10 (+2) or 0-1 [5]")]
    Item {
        /// The item.
        item: String,
        /// What was wanted.
        wanted: &'static str,
    },
    /// A range never gets to its end.
    #[error("`{item}`: steps of {step} do not lead from its beginning to its end")]
    Direction {
        /// The item.
        item: String,
        /// Its step.
        step: String,
    },
    /// A range or a list is too long.
    #[error("`{item}` makes more than {MOST_VALUES} values")]
    TooMany {
        /// The item.
        item: String,
    },
    /// A quotation mark has no partner.
    #[error("`{item}`: the quotation mark is not closed")]
    Quote {
        /// The list.
        item: String,
    },
    /// There is no value.
    #[error("there is no value")]
    Empty,
}

/// Splits a list at its commas and line breaks.
///
/// An item that begins with a quotation mark may hold commas and, doubled, quotation marks: Python's csv rules, which
/// A1111 follows. Spaces around items are dropped; empty items stay.
pub(super) fn split(text: &str) -> Result<Vec<String>, ValuesError> {
    let mut items = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches([' ', '\t']);
        let mut item = String::new();
        if let Some(quoted) = rest.strip_prefix('"') {
            rest = unquote(quoted, &mut item).ok_or_else(|| ValuesError::Quote {
                item: text.to_owned(),
            })?;
        }
        let end = rest.find([',', '\n']).unwrap_or(rest.len());
        item.push_str(&rest[..end]);
        items.push(item.trim().to_owned());
        match rest.get(end + 1..) {
            Some(after) => rest = after,
            None => return Ok(items),
        }
    }
}

/// Appends what stands before the closing quotation mark to `item`; gives what follows the mark.
fn unquote<'a>(mut quoted: &'a str, item: &mut String) -> Option<&'a str> {
    loop {
        let (inside, after) = quoted.split_once('"')?;
        item.push_str(inside);
        let Some(more) = after.strip_prefix('"') else {
            return Some(after);
        };
        item.push('"');
        quoted = more;
    }
}

/// Whole numbers from 0 up.
///
/// # Errors
/// [`ValuesError`].
pub(super) fn whole_numbers(text: &str) -> Result<Vec<u64>, ValuesError> {
    let wanted = "a whole number from 0 up";
    expand(text, wanted, |value| {
        // Beyond 2⁵³ not every whole number is a float; ranges end there.
        (value >= 0.0 && value < 2f64.powi(53)).then_some(value.trunc() as u64)
    })
}

/// Finite numbers.
///
/// # Errors
/// [`ValuesError`].
pub(super) fn numbers(text: &str) -> Result<Vec<f64>, ValuesError> {
    let finite = |value: f64| value.is_finite().then_some(value);
    let values = expand(text, "a number", finite)?;
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => Err(ValuesError::Item {
            item: value.to_string(),
            wanted: "a finite number",
        }),
        None => Ok(values),
    }
}

/// The items of a list, its ranges written out; `convert` makes values of a range's numbers.
fn expand<T: FromStr>(
    text: &str,
    wanted: &'static str,
    convert: impl Fn(f64) -> Option<T>,
) -> Result<Vec<T>, ValuesError> {
    let mut values = Vec::new();
    for item in split(text)?.into_iter().filter(|item| !item.is_empty()) {
        if let Ok(value) = item.parse() {
            values.push(value);
        } else {
            let unknown = || ValuesError::Item {
                item: item.clone(),
                wanted,
            };
            let range = Range::parse(&item).ok_or_else(unknown)?;
            for value in range.values(&item)? {
                values.push(convert(value).ok_or_else(unknown)?);
            }
        }
        if values.len() > MOST_VALUES {
            return Err(ValuesError::TooMany { item });
        }
    }
    if values.is_empty() {
        return Err(ValuesError::Empty);
    }
    Ok(values)
}

/// `first-last`, with a step in parentheses or a count in brackets.
struct Range {
    first: f64,
    last: f64,
    pace: Pace,
}

enum Pace {
    Step(f64),
    Count(usize),
}

impl Range {
    fn parse(item: &str) -> Option<Self> {
        let (ends, pace) = if let Some(inside) = item.strip_suffix(')') {
            let (ends, step) = inside.split_once('(')?;
            (ends, Pace::Step(step.trim().parse().ok()?))
        } else if let Some(inside) = item.strip_suffix(']') {
            let (ends, count) = inside.split_once('[')?;
            (ends, Pace::Count(count.trim().parse().ok()?))
        } else {
            (item, Pace::Step(1.0))
        };
        // The hyphen between two numbers is the first that follows a digit; one before it is a sign.
        let digit = ends.find(|character: char| character.is_ascii_digit())?;
        let hyphen = digit + ends[digit..].find('-')?;
        let number = |text: &str| {
            let value: f64 = text.trim().parse().ok()?;
            value.is_finite().then_some(value)
        };
        Some(Self {
            first: number(&ends[..hyphen])?,
            last: number(&ends[hyphen + 1..])?,
            pace,
        })
    }

    /// The numbers from the first to the last, both included where the step meets them.
    fn values(&self, item: &str) -> Result<Vec<f64>, ValuesError> {
        let (count, step) = match self.pace {
            Pace::Count(count) => (
                count,
                (self.last - self.first) / count.saturating_sub(1).max(1) as f64,
            ),
            Pace::Step(step) => {
                let steps = (self.last - self.first) / step;
                if !steps.is_finite() || steps < 0.0 {
                    return Err(ValuesError::Direction {
                        item: item.to_owned(),
                        step: step.to_string(),
                    });
                }
                // 0-1 (+0.1) has eleven values although ten times 0.1 is a little more than 1.
                ((steps + 1e-9).floor() as usize + 1, step)
            }
        };
        if count > MOST_VALUES {
            return Err(ValuesError::TooMany {
                item: item.to_owned(),
            });
        }
        // Rounded, so that labels say 0.3 and not 0.30000000000000004.
        let value = |index: usize| ((self.first + step * index as f64) * 1e9).round() / 1e9;
        Ok((0..count).map(value).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges_are_a1111s() {
        let whole = |text| whole_numbers(text).expect(text);
        assert_eq!(whole("1, 2,3"), [1, 2, 3]);
        assert_eq!(whole("1-5"), [1, 2, 3, 4, 5]);
        assert_eq!(whole("1-5 (+2)"), [1, 3, 5]);
        assert_eq!(whole("1-10 (+2)"), [1, 3, 5, 7, 9]);
        assert_eq!(whole("10-5 (-3)"), [10, 7]);
        assert_eq!(whole("1-10 [5]"), [1, 3, 5, 7, 10]);
        assert_eq!(whole("7, 1-3,9,"), [7, 1, 2, 3, 9]);
        assert_eq!(whole("18446744073709551615"), [u64::MAX]);
        let float = |text| numbers(text).expect(text);
        assert_eq!(float("0-1 [5]"), [0.0, 0.25, 0.5, 0.75, 1.0]);
        assert_eq!(float("0-0.3 (+0.1)"), [0.0, 0.1, 0.2, 0.3]);
        assert_eq!(float("1-2 (+0.3)"), [1.0, 1.3, 1.6, 1.9]);
        assert_eq!(float("-1-1"), [-1.0, 0.0, 1.0]);
        assert_eq!(float("-1 - -3 (-1)"), [-1.0, -2.0, -3.0]);
        assert_eq!(float("1e-2,-.5"), [0.01, -0.5]);
    }

    #[test]
    fn mistakes_are_named() {
        let told = |text| whole_numbers(text).expect_err(text).to_string();
        assert!(told("1,two").contains("`two`"));
        assert!(told("-3").contains("from 0 up"));
        assert!(told("-3-3").contains("from 0 up"));
        assert!(told("5-1").contains("steps of 1 do not lead"));
        assert!(told("1-5 (+0)").contains("steps of 0 do not lead"));
        assert!(told("1-1000000").contains("more than 10000"));
        assert!(told("1-2 [99999999999]").contains("more than 10000"));
        assert!(told(" , ").contains("no value"));
        for text in ["nan", "inf", "1-inf", "--", "1-", "(", ")", "[]", "1-2 ["] {
            assert!(numbers(text).is_err(), "{text}");
        }
    }

    #[test]
    fn quotes_keep_commas() {
        let items = |text| split(text).expect(text);
        assert_eq!(
            items("fox, \"a cat, asleep\" ,dog"),
            ["fox", "a cat, asleep", "dog"]
        );
        assert_eq!(items("\"say \"\"hi\"\"\",x"), ["say \"hi\"", "x"]);
        assert_eq!(items("fox,"), ["fox", ""]);
        assert_eq!(items("a 6\" nail,b"), ["a 6\" nail", "b"]);
        assert!(split("\"a,b").is_err());
    }
}
