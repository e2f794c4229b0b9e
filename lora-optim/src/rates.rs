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
}

impl Rates {
    /// One rate for all keys.
    pub fn new(default: f64) -> Self {
        Self {
            default,
            by_prefix: BTreeMap::new(),
        }
    }

    /// Gives keys that start with `prefix` a rate of their own.
    pub fn with_prefix(mut self, prefix: impl Into<String>, rate: f64) -> Self {
        self.by_prefix.insert(prefix.into(), rate);
        self
    }

    /// The rate of `key`.
    pub fn at(&self, key: &str) -> f64 {
        let prefixed = self
            .by_prefix
            .iter()
            .filter(|(prefix, _)| key.starts_with(prefix.as_str()));
        prefixed
            .max_by_key(|(prefix, _)| prefix.len())
            .map_or(self.default, |(_, rate)| *rate)
    }

    /// All rates times `factor`, which is how a [`Schedule`](crate::Schedule) is applied.
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            default: self.default * factor,
            by_prefix: self
                .by_prefix
                .iter()
                .map(|(prefix, rate)| (prefix.clone(), rate * factor))
                .collect(),
        }
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
}
