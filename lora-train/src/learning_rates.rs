//! The learning rate of every trained matrix, worked out from the settings.

use std::collections::{BTreeMap, BTreeSet};

use lora_optim::Rates;

use crate::config::{LoopConfig, OptimizerConfig, TrainConfig};

/// How the names of text encoders' modules begin, in all families; and those of SDXL's second one.
const TEXT: &str = "lora_te";
const SECOND_TEXT: &str = "lora_te2";

/// How the keys end whose rates LoRA+ multiplies, as sd-scripts picks them.
const UP: &str = ".lora_up.weight";
/// How the keys end that LoRA-FA leaves as they are.
const DOWN: &str = ".lora_down.weight";

/// The rates of the model's parts, for whatever begins like their modules.
pub(crate) fn part_rates(train: &LoopConfig) -> Rates {
    Rates::new(train.unet_lr)
        .with_prefix(TEXT, train.text_lr)
        .with_prefix(SECOND_TEXT, train.second_text_lr())
}

/// The rate of each matrix in `keys`: its part's, times the factor that `modules` has for its module, and for up matrices
/// times LoRA+'s ratio (Hayou et al., arXiv:2402.12354); 0 for down matrices that are frozen (LoRA-FA, Zhang et al.,
/// arXiv:2308.03303).
pub(crate) fn learning_rates<'a>(
    train: &LoopConfig,
    freeze_down: bool,
    keys: impl IntoIterator<Item = &'a String>,
    modules: &BTreeMap<String, f64>,
) -> Rates {
    let side = |key: &String| match key {
        key if key.ends_with(UP) => train.up_ratio(key.starts_with(TEXT)),
        key if freeze_down && key.ends_with(DOWN) => 0.0,
        _ => 1.0,
    };
    let sides = keys.into_iter().map(|key| (key.clone(), side(key)));
    let sides = sides.filter(|(_, factor)| factor.to_bits() != 1.0_f64.to_bits());
    // With the dot behind it, a module's name is no beginning of another's.
    let modules = modules.iter();
    let modules = modules.map(|(module, factor)| (format!("{module}."), *factor));
    part_rates(train)
        .with_factors(&modules.collect())
        .with_factors(&sides.collect())
}

/// What is wrong with the rates that the settings name, one sentence each.
pub(crate) fn rate_problems(train: &LoopConfig) -> Vec<String> {
    let rate = |value: f64| value.is_finite() && value >= 0.0;
    let rates = [
        ("unet_lr", Some(train.unet_lr), "1e-4"),
        ("text_lr", Some(train.text_lr), "1e-5"),
        ("text_lr_2", train.text_lr_2, "1e-5"),
    ];
    let rates = rates
        .into_iter()
        .filter(|(_, value, _)| !value.is_none_or(rate))
        .map(|(key, _, usual)| format!("train.{key} must be a number from 0 up, usually {usual}"));
    let ratios = [
        ("loraplus_lr_ratio", train.loraplus_lr_ratio),
        ("loraplus_unet_lr_ratio", train.loraplus_unet_lr_ratio),
        ("loraplus_text_lr_ratio", train.loraplus_text_lr_ratio),
    ];
    // Up matrices begin at 0, and while they stay there nothing else learns either.
    let ratios = ratios
        .into_iter()
        .filter(|(_, value)| !value.is_none_or(|ratio| ratio.is_finite() && ratio > 0.0))
        .map(|(key, _)| {
            format!("train.{key} must be above 0, usually 4 to 16; leave it out for one rate")
        });
    rates.chain(ratios).collect()
}

/// Below it, a factor on a rate that the optimiser finds is more likely a rate that was meant for another optimiser.
const ODD_FACTOR: f64 = 0.1;

/// What to know about the learning rates where the optimiser finds its own.
pub(crate) fn rate_notes(config: &TrainConfig) -> Vec<String> {
    if !config.optimizer.finds_its_rate() {
        return Vec::new();
    }
    let (name, train) = (config.optimizer.name(), &config.train);
    let parts = [
        ("train.unet_lr", Some(train.unet_lr), false),
        ("train.text_lr", Some(train.text_lr), true),
        ("train.text_lr_2", train.text_lr_2, true),
    ];
    let used = parts
        .into_iter()
        .filter_map(|(key, rate, text)| Some((key, rate.filter(|rate| *rate > 0.0)?, text)));
    let mut notes: Vec<String> = used
        .clone()
        .filter(|(_, rate, _)| *rate < ODD_FACTOR)
        .map(|(key, rate, _)| {
            format!(
                "{name} finds its own learning rate, and {key} is a factor on it: 1 is usual, {rate} makes it {:.0} \
                 times slower",
                rate.recip()
            )
        })
        .collect();
    let distinct: BTreeSet<u64> = used
        .flat_map(|(_, rate, text)| [rate, rate * train.up_ratio(text)])
        .map(f64::to_bits)
        .collect();
    let estimates = !matches!(config.optimizer, OptimizerConfig::Adafactor(_));
    if estimates && distinct.len() > 1 {
        notes.push(format!(
            "the settings of [train] make {} different learning rates (parts of the model, LoRA+), so {name} makes an \
             estimate each for the matrices that share one",
            distinct.len()
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(text: &str) -> LoopConfig {
        toml::from_str(text).expect("a config")
    }

    fn rates(text: &str, factors: &[(&str, f64)]) -> [f64; 6] {
        rates_with(text, false, factors)
    }

    fn rates_with(text: &str, freeze_down: bool, factors: &[(&str, f64)]) -> [f64; 6] {
        let keys = ["lora_unet_mid", "lora_te1_fc", "lora_te2_fc"]
            .into_iter()
            .flat_map(|module| [format!("{module}.lora_down.weight"), module.to_owned() + UP]);
        let keys: Vec<String> = keys.collect();
        let factors = factors
            .iter()
            .map(|(prefix, factor)| ((*prefix).to_owned(), *factor));
        let rates = learning_rates(&train(text), freeze_down, &keys, &factors.collect());
        [0, 1, 2, 3, 4, 5].map(|index| rates.at(&keys[index]))
    }

    // Products of powers of two.
    #[test]
    #[allow(clippy::float_cmp)]
    fn each_matrix_has_the_rate_of_its_part_its_block_and_its_side() {
        let plain = "unet_lr = 4.0\ntext_lr = 2.0\n";
        assert_eq!(rates(plain, &[]), [4.0, 4.0, 2.0, 2.0, 2.0, 2.0]);
        let second = format!("{plain}text_lr_2 = 0.5\n");
        assert_eq!(rates(&second, &[]), [4.0, 4.0, 2.0, 2.0, 0.5, 0.5]);
        let plus = format!("{second}loraplus_lr_ratio = 16.0\n");
        assert_eq!(rates(&plus, &[]), [4.0, 64.0, 2.0, 32.0, 0.5, 8.0]);
        let factors = [("lora_unet_mid", 0.25), ("lora_te2_fc", 0.0)];
        assert_eq!(rates(&plus, &factors), [1.0, 16.0, 2.0, 32.0, 0.0, 0.0]);
        let own = format!("{plus}loraplus_unet_lr_ratio = 2.0\nloraplus_text_lr_ratio = 4.0\n");
        assert_eq!(rates(&own, &[]), [4.0, 8.0, 2.0, 8.0, 0.5, 2.0]);
        let frozen = rates_with(&plus, true, &factors);
        assert_eq!(frozen, [0.0, 16.0, 0.0, 32.0, 0.0, 0.0]);
        let beginning = [("lora_unet_mi", 0.5)];
        assert_eq!(rates(plain, &beginning), rates(plain, &[]));
    }

    #[test]
    fn rates_and_ratios_out_of_range_are_all_named() {
        let text = "unet_lr = -1.0\ntext_lr = nan\ntext_lr_2 = inf\nloraplus_lr_ratio = 0.0\n\
                    loraplus_unet_lr_ratio = -1.0\nloraplus_text_lr_ratio = inf";
        let problems = rate_problems(&train(text));
        let named = ["unet_lr", "text_lr", "text_lr_2", "loraplus_lr_ratio"];
        let named = [
            &named[..],
            &["loraplus_unet_lr_ratio", "loraplus_text_lr_ratio"],
        ]
        .concat();
        assert_eq!(problems.len(), named.len(), "{problems:?}");
        for (problem, key) in problems.iter().zip(named) {
            assert!(problem.starts_with(&format!("train.{key} ")), "{problem}");
        }
    }
}
