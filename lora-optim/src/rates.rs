//! Learning rates by key.

use std::{
    collections::BTreeMap,
    ops::Bound::{Included, Unbounded},
    sync::Arc,
};

/// A learning rate for each key: that of the longest prefix that the key starts with, or else the default.
///
/// So a text encoder can learn slower than a UNet without this crate knowing either:
///
/// `Rates::new(1e-4).with_prefix("lora_te", 1e-5)`
///
/// A whole key is a prefix too. Thousands of them are no burden: looking a key up takes logarithmic time, and clones and
/// [scaled](Self::scaled) rates share one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    table: Arc<Table>,
    /// Of all rates alike.
    factor: f64,
}

#[derive(Clone, Debug, PartialEq)]
struct Table {
    default: f64,
    by_prefix: BTreeMap<String, f64>,
    /// The first prefix with each rate, by the bits of that.
    groups: BTreeMap<u64, String>,
}

impl Rates {
    /// One rate for all keys.
    pub fn new(default: f64) -> Self {
        Self {
            table: Arc::new(Table::new(default, BTreeMap::new())),
            factor: 1.0,
        }
    }

    /// Gives keys that start with `prefix` a rate of their own.
    pub fn with_prefix(self, prefix: impl Into<String>, rate: f64) -> Self {
        let mut by_prefix = self.table.by_prefix.clone();
        by_prefix.insert(prefix.into(), rate);
        Self {
            table: Arc::new(Table::new(self.table.default, by_prefix)),
            ..self
        }
    }

    /// Multiplies the rate of each key by the factor of the longest prefix in `factors` that it starts with; the rates of
    /// other keys stay.
    ///
    /// `Rates::new(1e-4).with_factors(&[("lora_unet_mid".into(), 0.5)].into())`
    pub fn with_factors(self, factors: &BTreeMap<String, f64>) -> Self {
        let table = &self.table;
        let factor = |prefix: &str| longest(factors, prefix).copied().unwrap_or(1.0);
        let prefixes = table.by_prefix.keys().chain(factors.keys());
        let by_prefix = prefixes
            .map(|prefix| (prefix.clone(), table.base(prefix) * factor(prefix)))
            .collect();
        Self {
            table: Arc::new(Table::new(table.default, by_prefix)),
            ..self
        }
    }

    /// The rate of `key`.
    pub fn at(&self, key: &str) -> f64 {
        self.table.base(key) * self.factor
    }

    /// The name of the group that `key` belongs to: the keys with one rate, however it is [scaled](Self::scaled).
    ///
    /// It is the first prefix with that rate, and `""` where it is the default. Optimisers that estimate a step size
    /// (D-Adaptation, Prodigy) estimate one for each group.
    pub fn group(&self, key: &str) -> &str {
        let base = self.table.base(key).to_bits();
        self.table.groups.get(&base).map_or("", String::as_str)
    }

    /// All rates times `factor`, which is how a [`Schedule`](crate::Schedule) is applied.
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            table: self.table.clone(),
            factor: self.factor * factor,
        }
    }
}

impl Table {
    fn new(default: f64, by_prefix: BTreeMap<String, f64>) -> Self {
        let mut groups = BTreeMap::from([(default.to_bits(), String::new())]);
        for (prefix, rate) in &by_prefix {
            let group = groups.entry(rate.to_bits());
            group.or_insert_with(|| prefix.clone());
        }
        Self {
            default,
            by_prefix,
            groups,
        }
    }

    /// The rate of `key` before any scaling.
    fn base(&self, key: &str) -> f64 {
        longest(&self.by_prefix, key)
            .copied()
            .unwrap_or(self.default)
    }
}

/// What belongs to the longest prefix of `key` that is in the map.
fn longest<'a, T>(by_prefix: &'a BTreeMap<String, T>, key: &str) -> Option<&'a T> {
    let mut end = key;
    loop {
        // All prefixes of a text come before it.
        let mut before = by_prefix.range::<str, _>((Unbounded, Included(end)));
        let (nearest, value) = before.next_back()?;
        if end.starts_with(nearest.as_str()) {
            return Some(value);
        }
        // A prefix of `end` that is longer than what `nearest` shares with it would lie between the two.
        let pairs = nearest.bytes().zip(end.bytes());
        let shared = pairs.take_while(|(left, right)| left == right).count();
        end = &end[..end.floor_char_boundary(shared)];
    }
}

// Rates pass through unchanged or are halved.
#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    /// Short words over a small alphabet, so that many are prefixes of one another and many end within a character.
    fn words() -> Vec<String> {
        let letters = ["a", "b", "é", "è"];
        let mut words = vec![String::new()];
        for length in 1..=4 {
            let shorter = words
                .iter()
                .filter(|word| word.chars().count() == length - 1);
            let longer = shorter.flat_map(|word| letters.map(|letter| format!("{word}{letter}")));
            words = [words.clone(), longer.collect()].concat();
        }
        words
    }

    #[test]
    fn looking_up_finds_what_a_scan_finds() {
        let words = words();
        for stride in [2, 3, 7, 20, 100] {
            let chosen = words.iter().skip(1).step_by(stride).enumerate();
            let map: BTreeMap<String, usize> = chosen.map(|(i, word)| (word.clone(), i)).collect();
            for key in &words {
                let scanned = map.iter().filter(|(prefix, _)| key.starts_with(*prefix));
                let scanned = scanned.max_by_key(|(prefix, _)| prefix.len());
                let scanned = scanned.map(|(_, value)| value);
                assert_eq!(longest(&map, key), scanned, "{key} of every {stride}");
            }
        }
    }

    #[test]
    fn factors_multiply_the_rates_that_they_cover() {
        let rates = Rates::new(8.0)
            .with_prefix("te", 4.0)
            .with_prefix("te_mid", 2.0)
            .with_factors(&[("te".into(), 0.5), ("u_mid".into(), 0.25)].into())
            .with_factors(&[("u_mid.up".into(), 2.0), ("te_mid.up".into(), 2.0)].into());
        let keys = [
            "u",
            "u_mid.down",
            "u_mid.up",
            "te",
            "te_mid.down",
            "te_mid.up",
        ];
        assert_eq!(
            keys.map(|key| rates.at(key)),
            [8.0, 2.0, 4.0, 2.0, 1.0, 2.0]
        );
        assert_eq!(rates.group("u_mid.down"), rates.group("te_mid.up"));
        assert_ne!(rates.group("u_mid.down"), rates.group("u_mid.up"));
    }

    #[test]
    fn the_longest_prefix_decides() {
        let rates = Rates::new(1.0)
            .with_prefix("te", 2.0)
            .with_prefix("te2", 3.0)
            .with_prefix("te2_out", 4.0);
        assert_eq!(
            ["unet", "te1", "te2_in", "te2_out", ""].map(|key| rates.at(key)),
            [1.0, 2.0, 3.0, 4.0, 1.0]
        );
    }

    #[test]
    fn a_factor_scales_every_rate() {
        let rates = Rates::new(1.0).with_prefix("te", 2.0).scaled(0.5);
        assert_eq!((rates.at("unet"), rates.at("te")), (0.5, 1.0));
    }

    #[test]
    fn keys_of_one_rate_are_one_group_also_while_all_rates_are_zero() {
        let rates = Rates::new(1.0)
            .with_prefix("te", 0.5)
            .with_prefix("te2", 0.5)
            .with_prefix("up", 1.0);
        for rates in [rates.scaled(0.0), rates] {
            assert_eq!(
                ["unet", "te1", "te2", "up"].map(|key| rates.group(key)),
                ["", "te", "te", ""]
            );
        }
    }
}
