//! How many singular values of a correction are kept.

/// Which singular values count as worth keeping.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RankRule {
    /// As many as the limit allows.
    Fixed,
    /// Those above the largest divided by this (kohya's `sv_ratio`).
    Ratio(f64),
    /// As few as have this share of the Frobenius norm (kohya's `sv_fro`).
    Frobenius(f64),
    /// As few as have this share of the energy, the square of the Frobenius norm.
    Energy(f64),
    /// As few as have this share of the sum of all (kohya's `sv_cumulative`).
    Cumulative(f64),
}

/// A rule and the most that it may keep.
///
/// Where kohya's `resize_lora` keeps one singular value more than its rule asks for, this keeps what it asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankChoice {
    /// Which singular values are kept.
    pub rule: RankRule,
    /// The highest rank of a linear layer or 1×1 convolution.
    pub at_most: usize,
    /// The highest rank of a convolution with a larger kernel.
    pub at_most_of_convolutions: usize,
}

impl RankChoice {
    /// Rank `rank` for every layer.
    pub fn fixed(rank: usize) -> Self {
        Self {
            rule: RankRule::Fixed,
            at_most: rank,
            at_most_of_convolutions: rank,
        }
    }

    /// As many as `rule` asks for, whatever they are.
    pub fn by(rule: RankRule) -> Self {
        Self {
            rule,
            at_most: usize::MAX,
            at_most_of_convolutions: usize::MAX,
        }
    }

    /// The highest rank of a layer whose down factor has this shape.
    pub(super) fn limit(&self, down: &[usize]) -> usize {
        match down {
            [_, _, height, width] if height * width > 1 => self.at_most_of_convolutions,
            _ => self.at_most,
        }
    }

    /// How many of these falling singular values to keep: one at least. `energy` is the sum of the squares of all,
    /// which may be more than are given.
    pub(super) fn rank(&self, singular_values: &[f64], energy: f64, down: &[usize]) -> usize {
        let squares = singular_values.iter().map(|value| value * value);
        let count = match self.rule {
            RankRule::Fixed => singular_values.len(),
            RankRule::Ratio(ratio) => {
                let least = singular_values.first().unwrap_or(&0.0) / ratio;
                singular_values
                    .iter()
                    .filter(|&&value| value > least)
                    .count()
            }
            RankRule::Energy(share) => first_to_reach(squares, share * energy),
            RankRule::Frobenius(share) => first_to_reach(squares, share * share * energy),
            RankRule::Cumulative(share) => {
                let sum: f64 = singular_values.iter().sum();
                first_to_reach(singular_values.iter().copied(), share * sum)
            }
        };
        count
            .min(self.limit(down))
            .min(singular_values.len())
            .max(1)
    }
}

/// How many values it takes for their sum to reach `target`; all, where it is never reached.
fn first_to_reach(values: impl Iterator<Item = f64>, target: f64) -> usize {
    let mut sum = 0.0;
    let short = values.take_while(|value| {
        sum += value;
        sum < target
    });
    short.count() + 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::safetensors_file::SafetensorsFile;

    #[test]
    fn rules_keep_what_their_definition_says() {
        let golden = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../testdata/golden/lora/tools.safetensors"
        );
        let file = SafetensorsFile::open(golden).expect("golden data");
        let values = file
            .read("rules.singular_values")
            .expect("values")
            .to_f32()
            .expect("floats");
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let energy = values.iter().map(|value| value * value).sum();
        let expected: BTreeMap<String, BTreeMap<String, usize>> =
            serde_json::from_str(file.metadata("rules").expect("rules")).expect("JSON");
        type Rule = fn(f64) -> RankRule;
        let rules: [(&str, Rule); 4] = [
            ("ratio", RankRule::Ratio),
            ("frobenius", RankRule::Frobenius),
            ("energy", RankRule::Energy),
            ("cumulative", RankRule::Cumulative),
        ];
        for (name, rule) in rules {
            for (parameter, &rank) in &expected[name] {
                let choice = RankChoice::by(rule(parameter.parse().expect("a number")));
                assert_eq!(
                    choice.rank(&values, energy, &[0, 0]),
                    rank,
                    "{name} {parameter}"
                );
            }
        }
    }

    #[test]
    fn limits_hold_and_one_is_always_kept() {
        let choice = RankChoice {
            rule: RankRule::Energy(1.0),
            at_most: 3,
            at_most_of_convolutions: 2,
        };
        let values = [2.0, 1.0, 1.0, 1.0];
        assert_eq!(choice.rank(&values, 7.0, &[4, 8]), 3);
        assert_eq!(choice.rank(&values, 7.0, &[4, 8, 1, 1]), 3);
        assert_eq!(choice.rank(&values, 7.0, &[4, 8, 3, 3]), 2);
        for rule in [
            RankRule::Ratio(2.0),
            RankRule::Frobenius(0.9),
            RankRule::Energy(0.9),
            RankRule::Cumulative(0.9),
        ] {
            let rank = RankChoice::by(rule).rank(&[0.0, 0.0], 0.0, &[2, 8]);
            assert_eq!(rank, 1, "{rule:?}");
        }
    }
}
