//! Learning rates by key.

use std::collections::BTreeMap;

/// A learning rate for each key: that of the longest prefix that the key starts with, or else the default.
///
/// So a text encoder can learn slower than a UNet without this crate knowing either:
///
/// `Rates::new(1e-4).with_prefix("lora_te", 1e-5)`
#[derive(Clone, Debug, PartialEq)]
pub struct Rates {
    default: f64,
    by_prefix: BTreeMap<String, f64>,
    /// Of all rates alike.
    factor: f64,
}

impl Rates {
    /// One rate for all keys.
    pub fn new(default: f64) -> Self {
        Self {
            default,
            by_prefix: BTreeMap::new(),
            factor: 1.0,
        }
    }

    /// Gives keys that start with `prefix` a rate of their own.
    pub fn with_prefix(mut self, prefix: impl Into<String>, rate: f64) -> Self {
        self.by_prefix.insert(prefix.into(), rate);
        self
    }

    /// The rate of `key`.
    pub fn at(&self, key: &str) -> f64 {
        self.base(key) * self.factor
    }

    /// The name of the group that `key` belongs to: the keys with one rate, however it is [scaled](Self::scaled).
    ///
    /// It is the first prefix with that rate, and `""` where it is the default. Optimisers that estimate a step size
    /// (D-Adaptation, Prodigy) estimate one for each group.
    pub fn group(&self, key: &str) -> &str {
        let base = self.base(key).to_bits();
        if self.default.to_bits() == base {
            return "";
        }
        let named = self.by_prefix.iter();
        named
            .filter(|(_, rate)| rate.to_bits() == base)
            .map(|(prefix, _)| prefix.as_str())
            .next()
            .unwrap_or("")
    }

    /// All rates times `factor`, which is how a [`Schedule`](crate::Schedule) is applied.
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            factor: self.factor * factor,
            ..self.clone()
        }
    }

    fn base(&self, key: &str) -> f64 {
        let prefixed = self
            .by_prefix
            .iter()
            .filter(|(prefix, _)| key.starts_with(prefix.as_str()));
        prefixed
            .max_by_key(|(prefix, _)| prefix.len())
            .map_or(self.default, |(_, rate)| *rate)
    }
}

// Rates pass through unchanged or are halved.
#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

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
