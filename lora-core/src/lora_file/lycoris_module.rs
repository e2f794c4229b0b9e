//! One adapted module of a LoRA file that is more than a pair.

use std::collections::BTreeMap;

use burn::tensor::TensorData;

use super::{AdapterKind, LoraProblem, ModuleInFile, listed};

/// The tensors that a module can have beside alpha, as LyCORIS names them behind the module's name.
pub(super) const PARTS: [&str; 13] = [
    "lora_down.weight",
    "lora_up.weight",
    "hada_w1_a",
    "hada_w1_b",
    "hada_w2_a",
    "hada_w2_b",
    "lokr_w1",
    "lokr_w1_a",
    "lokr_w1_b",
    "lokr_w2",
    "lokr_w2_a",
    "lokr_w2_b",
    "dora_scale",
];

/// The tensors of one adapted layer that is changed by LoHa, LoKr or DoRA, in LyCORIS' form.
#[derive(Debug, Clone, PartialEq)]
pub struct LycorisModule {
    /// f32, by LyCORIS' names, such as `hada_w1_a` or `dora_scale`; convolutions in the shapes that it writes.
    pub parts: BTreeMap<&'static str, TensorData>,
    /// Numerator of the scale.
    pub alpha: f32,
}

impl LycorisModule {
    /// What it is; with lengths of rows it is a DoRA, whatever makes its change.
    pub fn kind(&self) -> AdapterKind {
        if self.parts.contains_key("dora_scale") {
            AdapterKind::Dora
        } else if self.parts.keys().any(|part| part.starts_with("hada")) {
            AdapterKind::LoHa
        } else {
            AdapterKind::LoKr
        }
    }

    /// Rank of its pairs; `None` where it has none.
    pub fn rank(&self) -> Option<usize> {
        let first = |part: &str| self.parts.get(part)?.shape().first().copied();
        ["lora_down.weight", "hada_w1_b", "lokr_w2_b", "lokr_w1_b"]
            .into_iter()
            .find_map(first)
    }

    /// Number of values.
    pub fn parameters(&self) -> usize {
        self.parts.values().map(TensorData::num_elements).sum()
    }

    /// Whether all values are numbers.
    pub fn is_finite(&self) -> bool {
        let mut values = self.parts.values();
        values.all(|data| data.iter::<f32>().all(f32::is_finite)) && self.alpha.is_finite()
    }

    /// Whether one of its factors is all zero: then it changes nothing, but for lengths of rows.
    pub fn is_zero(&self) -> bool {
        let mut factors = self.parts.iter();
        let zero = |data: &TensorData| data.iter::<f32>().all(|value| value == 0.0);
        factors.any(|(part, data)| *part != "dora_scale" && zero(data))
    }

    /// `[out, in · kernel area]` of the layer that it changes; `None` where factors are missing.
    pub(crate) fn layer_shape(&self) -> Option<[usize; 2]> {
        let shape = |part: &str| Some(self.parts.get(part)?.shape().to_vec());
        let rows = |part: &str| shape(part)?.first().copied();
        let factor = |whole: &str| rows(whole).or_else(|| rows(&format!("{whole}_a")));
        let outputs = rows("lora_up.weight").or_else(|| rows("hada_w1_a"));
        let outputs = outputs.or_else(|| factor("lokr_w1")?.checked_mul(factor("lokr_w2")?))?;
        let inputs = self.inputs()?.iter().skip(1).product();
        Some([outputs, inputs])
    }

    /// `[1, in · kernel area]`, by which a family is recognised as by a pair's down factor.
    pub(super) fn inputs(&self) -> Option<Vec<usize>> {
        inputs(|part| self.parts.get(part).map(|data| data.shape().to_vec()))
    }

    /// Whether its pairs have one rank each, and two pairs that are multiplied number by number one size.
    fn goes_together(&self) -> bool {
        let dims = |part: &str| {
            let shape = self.parts.get(part)?.shape();
            let rows = *shape.first()?;
            Some([rows, shape.iter().skip(1).product::<usize>()])
        };
        let pair = |a: &str, b: &str| match (dims(a), dims(b)) {
            (Some([_, columns]), Some([rows, _])) => columns == rows,
            _ => true,
        };
        let (firsts, seconds) = (
            [dims("hada_w1_a"), dims("hada_w2_a")],
            [dims("hada_w1_b"), dims("hada_w2_b")],
        );
        let rows = firsts.map(|dims| dims.map(|[rows, _]| rows));
        let columns = seconds.map(|dims| dims.map(|[_, columns]| columns));
        pair("lora_up.weight", "lora_down.weight")
            && pair("hada_w1_a", "hada_w1_b")
            && pair("hada_w2_a", "hada_w2_b")
            && pair("lokr_w1_a", "lokr_w1_b")
            && pair("lokr_w2_a", "lokr_w2_b")
            && rows[0] == rows[1]
            && columns[0] == columns[1]
    }

    /// Whether it has no lengths, or as many as a weight of this shape has outputs or inputs.
    pub(super) fn lengths_fit(&self, weight: &[usize]) -> bool {
        let Some(lengths) = self.parts.get("dora_scale") else {
            return true;
        };
        let count = lengths.num_elements();
        let of_outputs =
            lengths.shape().first() == weight.first() && weight.first() == Some(&count);
        of_outputs || weight.get(1) == Some(&count)
    }

    /// What forbids to use this module, called `name`.
    pub(super) fn problems(&self, name: &str) -> Vec<LoraProblem> {
        let has = |part: &&&str| self.parts.contains_key(**part);
        let complete = |parts: &[&str]| parts.iter().all(|part| has(&part));
        let either = |whole: &str| {
            complete(&[whole]) || complete(&[&format!("{whole}_a"), &format!("{whole}_b")])
        };
        let pair = ["lora_down.weight", "lora_up.weight"];
        let hada = ["hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"];
        let missing: Vec<&str> = if hada.iter().any(|part| has(&part)) {
            hada.iter().filter(|part| !has(part)).copied().collect()
        } else if self.parts.keys().any(|part| part.starts_with("lokr")) {
            let factors = ["lokr_w1", "lokr_w2"].into_iter();
            factors.filter(|whole| !either(whole)).collect()
        } else {
            pair.iter().filter(|part| !has(part)).copied().collect()
        };
        let mut problems: Vec<LoraProblem> = missing
            .into_iter()
            .map(|part| LoraProblem::MissingKey {
                key: format!("{name}.{part}"),
            })
            .collect();
        if problems.is_empty() && !self.goes_together() {
            let parts = ModuleInFile::Lycoris(self).shapes();
            problems.push(LoraProblem::Parts {
                module: name.to_owned(),
                parts: listed(&parts),
            });
        }
        if !self.alpha.is_finite() {
            problems.push(LoraProblem::Alpha {
                key: format!("{name}.alpha"),
                found: self.alpha.to_string(),
            });
        }
        problems
    }
}

/// `[1, in · kernel area]` of the layer that a module with parts of these shapes is for.
pub(super) fn inputs(shape: impl Fn(&str) -> Option<Vec<usize>>) -> Option<Vec<usize>> {
    let product = |shape: &[usize]| {
        shape
            .iter()
            .try_fold(1usize, |all, side| all.checked_mul(*side))
    };
    let columns = |part: &str| product(shape(part)?.get(1..)?);
    let factor = |whole: &str| columns(whole).or_else(|| columns(&format!("{whole}_b")));
    if let Some(down) = shape("lora_down.weight") {
        return Some(down);
    }
    let inputs =
        columns("hada_w1_b").or_else(|| factor("lokr_w1")?.checked_mul(factor("lokr_w2")?))?;
    Some(vec![1, inputs])
}

/// A key's module and part, where it is one of [`PARTS`].
pub(super) fn split(key: &str) -> Option<(&str, &'static str)> {
    PARTS.iter().find_map(|part| {
        let module = key.strip_suffix(part)?.strip_suffix('.')?;
        (!module.is_empty()).then_some((module, *part))
    })
}
