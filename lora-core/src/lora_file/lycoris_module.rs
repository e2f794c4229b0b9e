//! One adapted module of a LoRA file that is more than a pair.

use std::collections::BTreeMap;

use burn::tensor::TensorData;

use super::{AdapterKind, LoraProblem};

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
        let outputs = outputs.or_else(|| Some(factor("lokr_w1")? * factor("lokr_w2")?))?;
        let inputs = self.inputs()?.iter().skip(1).product();
        Some([outputs, inputs])
    }

    /// `[1, in · kernel area]`, by which a family is recognised as by a pair's down factor.
    pub(super) fn inputs(&self) -> Option<Vec<usize>> {
        inputs(|part| self.parts.get(part).map(|data| data.shape().to_vec()))
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
    let columns = |part: &str| Some(shape(part)?.iter().skip(1).product::<usize>());
    let factor = |whole: &str| columns(whole).or_else(|| columns(&format!("{whole}_b")));
    if let Some(down) = shape("lora_down.weight") {
        return Some(down);
    }
    let inputs = columns("hada_w1_b").or_else(|| Some(factor("lokr_w1")? * factor("lokr_w2")?))?;
    Some(vec![1, inputs])
}

/// A key's module and part, where it is one of [`PARTS`].
pub(super) fn split(key: &str) -> Option<(&str, &'static str)> {
    PARTS.iter().find_map(|part| {
        let module = key.strip_suffix(part)?.strip_suffix('.')?;
        (!module.is_empty()).then_some((module, *part))
    })
}
