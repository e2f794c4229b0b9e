//! Settings of blocks: lists of 25 numbers for SD 1.x and 2.x, 23 for SDXL, in the order of the UNet.

use std::f64::consts::FRAC_PI_2;

use lora_core::Family;
use toml::{Table, Value};

use super::{importer::Importer, options::Given, values};

/// Lists of ranks and alphas, with the key of a rule that each is.
const SIZES: [(&str, &str); 4] = [
    ("block_dims", "rank"),
    ("block_alphas", "alpha"),
    ("conv_block_dims", "conv_rank"),
    ("conv_block_alphas", "conv_alpha"),
];

/// A block, and what is said of it.
struct Block {
    name: String,
    settings: Table,
}

/// Makes `[[lora.blocks]]` of the learning rates, ranks and alphas of blocks.
pub(super) fn read(importer: &mut Importer, convolutions: bool) {
    let mut blocks = blocks(importer.family, convolutions);
    let mut told: Vec<Given> = Vec::new();
    for (part, key) in SIZES {
        let Some(given) = importer.take_network(part) else {
            continue;
        };
        if key.starts_with("conv") && !convolutions {
            importer.not_needed(&given, "no convolutions are trained");
            continue;
        }
        match whole_list(&given, importer.family) {
            Ok(list) => {
                set_sizes(&mut blocks, key, &list);
                told.push(given);
            }
            Err(reason) => importer.not_supported(&given, &reason),
        }
    }
    told.extend(rates(importer, &mut blocks));
    finish(importer, blocks, told);
}

/// The blocks that have layers that are trained, as block-weight tools count them.
fn blocks(family: Family, convolutions: bool) -> Vec<Block> {
    let (inputs, outputs): (Vec<usize>, Vec<usize>) = match (family, convolutions) {
        (Family::Sdxl, false) => (vec![4, 5, 7, 8], (0..=5).collect()),
        (Family::Sdxl, true) => ((1..=8).collect(), (0..=8).collect()),
        (_, false) => (vec![1, 2, 4, 5, 7, 8], (3..=11).collect()),
        (_, true) => ((1..=11).collect(), (0..=11).collect()),
    };
    let inputs = inputs.into_iter().map(|number| format!("IN{number:02}"));
    let outputs = outputs.into_iter().map(|number| format!("OUT{number:02}"));
    let names = inputs.chain(["MID".to_owned()]).chain(outputs);
    names
        .map(|name| Block {
            name,
            settings: Table::new(),
        })
        .collect()
}

/// The place of a block in kohya's lists.
fn place(family: Family, name: &str) -> usize {
    let number = |prefix: &str| {
        name.strip_prefix(prefix)
            .and_then(|number| number.parse::<usize>().ok())
    };
    // SDXL's lists begin with the embeddings and count the middle three times.
    let (first, middle, outputs) = if family == Family::Sdxl {
        (1, 10, 13)
    } else {
        (0, 12, 13)
    };
    match (number("IN"), number("OUT")) {
        (Some(number), _) => first + number,
        (_, Some(number)) => outputs + number,
        _ => middle,
    }
}

fn whole_list(given: &Given, family: Family) -> Result<Vec<f64>, String> {
    let (length, middle) = if family == Family::Sdxl {
        (23, 10..13)
    } else {
        (25, 12..13)
    };
    let list: Option<Vec<f64>> = values::text(&given.value)
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect();
    let list = list.ok_or("expected numbers with commas between them")?;
    if list.len() != length {
        return Err(format!(
            "expected {length} numbers for {family}, found {}",
            list.len()
        ));
    }
    let same = list[middle]
        .windows(2)
        .all(|pair| pair[0].to_bits() == pair[1].to_bits());
    if same {
        Ok(list)
    } else {
        Err("the middle is one block here and three in the list".to_owned())
    }
}

fn set_sizes(blocks: &mut [Block], key: &str, list: &[f64]) {
    let family = if list.len() == 23 {
        Family::Sdxl
    } else {
        Family::Sd1
    };
    for block in blocks {
        let size = list[place(family, &block.name)];
        let is_rank = key.ends_with("rank");
        match (is_rank, size > 0.0) {
            (true, true) => block.settings.insert(key.to_owned(), (size as i64).into()),
            // Without a rank there is no adapter.
            (true, false) => block.settings.insert("lr".to_owned(), 0.0.into()),
            (false, true) => block.settings.insert(key.to_owned(), size.into()),
            (false, false) => None,
        };
    }
}

/// `down_lr_weight` and its like.
fn rates(importer: &mut Importer, blocks: &mut [Block]) -> Vec<Given> {
    let threshold = importer.options.network.remove("block_lr_zero_threshold");
    let least = threshold
        .as_ref()
        .and_then(|given| values::number(&given.value))
        .unwrap_or(0.0);
    let (count, middle) = if importer.family == Family::Sdxl {
        (9, 3)
    } else {
        (12, 1)
    };
    let mut told = Vec::new();
    for (part, prefix, count) in [
        ("down_lr_weight", "IN", count),
        ("mid_lr_weight", "MID", middle),
        ("up_lr_weight", "OUT", count),
    ] {
        let Some(given) = importer.options.network.remove(part) else {
            continue;
        };
        if values::text(&given.value).is_empty() {
            importer.not_needed(&given, "it is empty");
            continue;
        }
        let Some(weights) = weights(&values::text(&given.value), count) else {
            importer.not_a(&given, "numbers with commas between them, or cosine, sine, linear, reverse_linear or zeros");
            continue;
        };
        if prefix == "MID"
            && weights
                .windows(2)
                .any(|pair| pair[0].to_bits() != pair[1].to_bits())
        {
            importer.not_supported(&given, "the middle is one block here and three in the list");
            continue;
        }
        for block in blocks.iter_mut() {
            let Some(number) = block.name.strip_prefix(prefix) else {
                continue;
            };
            let weight = weights[number.parse::<usize>().unwrap_or(0).min(count - 1)];
            // At the threshold or below a block has no adapters.
            let weight = if weight > least { weight } else { 0.0 };
            let is_left_out = block.settings.get("lr").is_some_and(values::is_off);
            if !is_left_out && weight.to_bits() != 1f64.to_bits() {
                block.settings.insert("lr".to_owned(), weight.into());
            }
        }
        told.push(given);
    }
    match threshold {
        Some(given) if told.is_empty() || values::is_off(&given.value) => {
            importer.not_needed(&given, "it leaves no block out");
        }
        threshold => told.extend(threshold),
    }
    told
}

/// A list of weights, filled up with 1, or one of kohya's shapes with what is added to it, as in `cosine+0.25`.
fn weights(text: &str, count: usize) -> Option<Vec<f64>> {
    let (shape, base) = text.split_once('+').unwrap_or((text, "0"));
    let along = |index: usize| index as f64 / (count.max(2) - 1) as f64;
    let shaped = |of: &dyn Fn(usize) -> f64| {
        let base: f64 = base.trim().parse().ok()?;
        Some((0..count).map(|index| of(index) + base).collect())
    };
    match shape.trim() {
        "cosine" => shaped(&|index| (along(count - 1 - index) * FRAC_PI_2).sin()),
        "sine" => shaped(&|index| (along(index) * FRAC_PI_2).sin()),
        "linear" => shaped(&along),
        "reverse_linear" => shaped(&|index| along(count - 1 - index)),
        "zeros" => shaped(&|_| 0.0),
        _ => {
            let number = |part: &str| {
                if part.trim().is_empty() {
                    Some(0.0)
                } else {
                    part.trim().parse().ok()
                }
            };
            let mut list: Vec<f64> = text.split(',').map(number).collect::<Option<_>>()?;
            list.resize(count, 1.0);
            Some(list)
        }
    }
}

/// One rule for all blocks of which the same is said.
fn finish(importer: &mut Importer, blocks: Vec<Block>, told: Vec<Given>) {
    let mut rules: Vec<(Table, Vec<Value>)> = Vec::new();
    for block in blocks
        .into_iter()
        .filter(|block| !block.settings.is_empty())
    {
        let name = Value::from(block.name);
        match rules
            .iter_mut()
            .find(|(settings, _)| *settings == block.settings)
        {
            Some((_, names)) => names.push(name),
            None => rules.push((block.settings, vec![name])),
        }
    }
    let rules = rules.into_iter().map(|(mut settings, names)| {
        settings.insert("layers".to_owned(), Value::Array(names));
        Value::Table(settings)
    });
    let rules: Vec<Value> = rules.collect();
    for given in told {
        if rules.is_empty() {
            importer.not_needed(&given, "all blocks learn alike");
        } else {
            importer.map(&given, [("lora.blocks", Value::Array(rules.clone()))]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_kohyas() {
        let cosine = weights("cosine+0.5", 12).expect("a shape");
        assert!((cosine[0] - 1.5).abs() < 1e-12 && (cosine[11] - 0.5).abs() < 1e-12);
        assert_eq!(weights("reverse_linear", 3), Some(vec![1.0, 0.5, 0.0]));
        assert_eq!(weights("1,,0.5", 4), Some(vec![1.0, 0.0, 0.5, 1.0]));
        assert_eq!(weights("round", 4), None);
    }

    #[test]
    fn places_are_those_of_kohyas_lists() {
        for (family, name, expected) in [
            (Family::Sd1, "IN01", 1),
            (Family::Sd1, "MID", 12),
            (Family::Sd1, "OUT11", 24),
            (Family::Sdxl, "IN08", 9),
            (Family::Sdxl, "MID", 10),
            (Family::Sdxl, "OUT00", 13),
        ] {
            assert_eq!(place(family, name), expected, "{name}");
        }
    }
}
