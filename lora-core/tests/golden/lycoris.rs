//! LoHa, LoKr and DoRA against LyCORIS: layer by layer with gradients, and whole files on the tiny SD1.5 model.

use std::collections::{BTreeMap, BTreeSet};

use burn::tensor::{Tensor, TensorData};
use lora_core::{
    BaseModel, Matrices, Precision, TextStates,
    adapter::{self, Naming, Site, SiteWeight, Sites, Target},
    layer::{Conv2d, Linear},
    lora_file::{FileDtype, LoraFile, LoraModule, LycorisModule},
    lora_tools::Norms,
    unet::Conditions,
    weights::{StoredTensor, TensorProblem, TensorSource, WeightReader},
};

use crate::golden::{self, Golden, assert_close, deviation, device, tiny_sd15};

/// Sums of up to 54 products of numbers around 1, in another order: a few units in the last place of f32.
const LIMIT: f32 = 2e-6;
/// Gradients of lengths and factors sum over up to 240 positions, and DoRA's divide by norms.
const GRADIENT_LIMIT: f32 = 1e-5;
/// As for LoRA: rounding alone moves a whole network's output by up to 2e-5.
const NETWORK_LIMIT: f32 = 5e-5;

const LAYERS: [&str; 4] = ["linear", "conv", "strided", "point"];
const CASES: [&str; 11] = [
    "lora",
    "dora",
    "dora_in",
    "loha",
    "loha_wide",
    "loha_dora",
    "lokr",
    "lokr_full",
    "lokr_both",
    "lokr_factor",
    "lokr_dora",
];
const PARTS: [&str; 13] = [
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
const NAME: &str = "lora_te_layer";

fn data(name: &str) -> String {
    format!("../adapters/{name}.safetensors")
}

/// The frozen layer of one case.
struct Frozen<'a> {
    golden: &'a Golden,
    case: String,
}

impl TensorSource for Frozen<'_> {
    fn find(&self, key: &str, _: &[usize]) -> Result<StoredTensor, TensorProblem> {
        let name = format!("{}.base.{}", self.case, key.trim_start_matches("layer."));
        Ok(StoredTensor::Values(self.golden.values(&name)))
    }
}

enum Layer {
    Linear(Linear),
    Conv(Conv2d),
}

impl Sites for Layer {
    fn naming(&self) -> Naming {
        Naming::text_encoder("lora_te")
    }

    fn sites(&mut self, visit: &mut dyn FnMut(Target, Site<'_>)) {
        match self {
            Self::Linear(linear) => visit(Target::TextEncoder, linear.site()),
            Self::Conv(conv) => visit(Target::TextEncoder, conv.site()),
        }
    }
}

impl Layer {
    fn of(golden: &Golden, kind: &str, case: &str) -> Self {
        let source = Frozen {
            golden,
            case: format!("{kind}.{case}"),
        };
        let device = device();
        let reader = WeightReader::new(&source, &device, Precision::F32);
        let weights = reader.root().at("layer");
        match kind {
            "linear" => Self::Linear(Linear::new(&weights, 24, 12)),
            "conv" => Self::Conv(Conv2d::new(&weights, 6, 8, 3)),
            "strided" => Self::Conv(Conv2d::new(&weights, 6, 8, 3).with_stride(2, 1)),
            _ => Self::Conv(Conv2d::new(&weights, 6, 8, 1)),
        }
    }

    /// Output, and gradients of the sum of `output · direction` by the factors' names and `x`.
    fn run(&mut self, golden: &Golden, case: &str, leaves: &Matrices) -> (Vec<f32>, Gradients) {
        adapter::set_factors(self, leaves);
        let (name, direction) = (format!("{case}.x"), format!("{case}.direction"));
        let (y, by_x, mut gradients) = match self {
            Self::Linear(linear) => {
                let x = golden.tensor::<3>(&name).autodiff().require_grad();
                let y = linear.forward(x.clone());
                let direction = golden.tensor::<3>(&direction).autodiff();
                let mut gradients = (y.clone() * direction).sum().backward();
                let by_x = values(x.grad_remove(&mut gradients).expect("x has a gradient"));
                (values(y.inner()), by_x, gradients)
            }
            Self::Conv(conv) => {
                let x = golden.tensor::<4>(&name).autodiff().require_grad();
                let y = conv.forward(x.clone());
                let direction = golden.tensor::<4>(&direction).autodiff();
                let mut gradients = (y.clone() * direction).sum().backward();
                let by_x = values(x.grad_remove(&mut gradients).expect("x has a gradient"));
                (values(y.inner()), by_x, gradients)
            }
        };
        let mut found = Gradients::from([("x".to_owned(), by_x)]);
        for (key, leaf) in leaves {
            let gradient = leaf.grad_remove(&mut gradients).expect("a gradient");
            let part = key.trim_start_matches(NAME).trim_start_matches('.');
            found.insert(part.to_owned(), values(gradient));
        }
        (y, found)
    }
}

type Gradients = BTreeMap<String, Vec<f32>>;

fn values<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// The adapter of one case as a file holds it.
fn file(golden: &Golden, case: &str) -> LoraFile {
    let part = |part: &str| {
        let name = format!("{case}.file.{part}");
        let is_there = golden.names().contains(&name);
        is_there.then(|| TensorData::new(golden.values(&name), golden.shape(&name)))
    };
    let alpha = golden.values(&format!("{case}.file.alpha"))[0];
    let parts: BTreeMap<&'static str, TensorData> = PARTS
        .into_iter()
        .filter_map(|name| Some((name, part(name)?)))
        .collect();
    let mut file = LoraFile::default();
    if parts
        .keys()
        .copied()
        .eq(["lora_down.weight", "lora_up.weight"])
    {
        let [down, up] = ["lora_down.weight", "lora_up.weight"].map(|name| parts[name].clone());
        let module = LoraModule { down, up, alpha };
        file.modules.insert(NAME.to_owned(), module);
    } else {
        let module = LycorisModule { parts, alpha };
        file.lycoris.insert(NAME.to_owned(), module);
    }
    file
}

/// Every layer with every adapter.
fn each(mut visit: impl FnMut(&str, &str, &str)) {
    for kind in LAYERS {
        for case in CASES {
            visit(kind, case, &format!("{kind}.{case}"));
        }
    }
}

#[test]
fn every_layer_gives_lycoris_outputs_and_gradients() {
    let golden = Golden::open(&data("layers"));
    let device = device();
    each(|kind, case, key| {
        let mut layer = Layer::of(&golden, kind, case);
        adapter::attach(&mut [&mut layer], &file(&golden, key), 1.0, &device).unwrap();
        let leaves: Matrices = adapter::factors(&mut layer)
            .into_iter()
            .map(|(part, matrix)| (part, matrix.autodiff().require_grad()))
            .collect();
        let (y, gradients) = layer.run(&golden, key, &leaves);
        let found = deviation(&y, &golden.values(&format!("{key}.y")));
        assert!(found <= LIMIT, "{key}: output deviates by {found:e}");
        // Lengths of inputs are for drawing alone.
        let expected = if case == "dora_in" {
            1
        } else {
            leaves.len() + 1
        };
        assert_eq!(gradients.len(), expected, "{key}");
        for (part, gradient) in gradients {
            let found = deviation(&gradient, &golden.values(&format!("{key}.grad.{part}")));
            assert!(
                found <= GRADIENT_LIMIT,
                "{key}: gradient of {part} deviates by {found:e}"
            );
        }
    });
}

#[test]
fn merging_a_layer_gives_lycoris_weight() {
    let golden = Golden::open(&data("layers"));
    let device = device();
    each(|kind, case, key| {
        let base = golden.values(&format!("{key}.base.weight"));
        let merged = golden.values(&format!("{key}.merged"));
        for strength in [1.0, 0.5] {
            let mut layer = Layer::of(&golden, kind, case);
            adapter::attach(&mut [&mut layer], &file(&golden, key), strength, &device).unwrap();
            adapter::merge(&mut layer);
            let part = base.iter().zip(&merged);
            let part: Vec<f32> = part
                .map(|(base, merged)| base + strength * (merged - base))
                .collect();
            layer.sites(&mut |_, site| {
                assert!(site.slot.is_empty());
                let found = deviation(&values(site.weight.matrix()), &part);
                assert!(found <= LIMIT, "{key} at {strength}: {found:e}");
            });
        }
    });
}

/// What is read from a file and put into a layer comes out as the same tensors.
#[test]
fn adapters_are_written_in_lycoris_shapes() {
    let golden = Golden::open(&data("layers"));
    let device = device();
    each(|kind, case, key| {
        if case == "dora_in" {
            return;
        }
        let mut layer = Layer::of(&golden, kind, case);
        let file = file(&golden, key);
        adapter::attach(&mut [&mut layer], &file, 1.0, &device).unwrap();
        assert_eq!(adapter::to_lora_file(&mut [&mut layer]), file, "{key}");
    });
}

/// A strength multiplies the whole difference, as in A1111 and ComfyUI, whatever makes it.
#[test]
fn half_the_strength_is_half_the_difference() {
    let golden = Golden::open(&data("layers"));
    let device = device();
    each(|kind, case, key| {
        let output = |strength: Option<f32>| {
            let mut layer = Layer::of(&golden, kind, case);
            if let Some(strength) = strength {
                adapter::attach(&mut [&mut layer], &file(&golden, key), strength, &device)
                    .expect("it fits");
            }
            layer.run(&golden, key, &Matrices::new()).0
        };
        let (base, half, full) = (output(None), output(Some(0.5)), output(Some(1.0)));
        let middle: Vec<f32> = base.iter().zip(&full).map(|(a, b)| (a + b) / 2.0).collect();
        let found = deviation(&half, &middle);
        assert!(found <= 5e-6, "{key}: {found:e}");
    });
}

#[test]
fn norms_are_limited_as_a_whole() {
    let golden = Golden::open(&data("layers"));
    let device = device();
    each(|kind, case, key| {
        if case == "dora_in" {
            return;
        }
        for frozen_down in [false, true] {
            let mut layer = Layer::of(&golden, kind, case);
            adapter::attach(&mut [&mut layer], &file(&golden, key), 1.0, &device).unwrap();
            let norm =
                |layer: &mut Layer| Norms::of(&adapter::to_lora_file(&mut [layer])).total() as f32;
            let before = (norm(&mut layer), adapter::factors(&mut layer));
            adapter::limit_norms(&mut layer, before.0 * 1.01, frozen_down);
            for (part, matrix) in adapter::factors(&mut layer) {
                let found = deviation(&values(matrix), &values(before.1[&part].clone()));
                assert!(found <= 2e-7, "{key}: {part} moved by {found:e}");
            }
            adapter::limit_norms(&mut layer, before.0 / 3.0, frozen_down);
            let limited = norm(&mut layer);
            assert!(
                (limited / before.0 * 3.0 - 1.0).abs() < 1e-5,
                "{key}: {limited}"
            );
            let after = adapter::factors(&mut layer);
            let stays = |part: &str| {
                part.ends_with("dora_scale") || (frozen_down && part.ends_with("down.weight"))
            };
            for (part, matrix) in &after {
                let same = values(matrix.clone()) == values(before.1[part].clone());
                assert_eq!(same, stays(part), "{key}: {part}");
            }
        }
    });
}

fn answer(model: &BaseModel, given: &Golden) -> (TextStates, Tensor<4>) {
    let text = model.text.encode(&given.ids(&["input_ids"], 1), 1);
    let conditions = Conditions::new(text.clone(), &[]);
    let (latents, timesteps) = (given.tensor("latents"), given.timesteps("timesteps"));
    (text, model.unet.forward(latents, &timesteps, &conditions))
}

fn assert_answer(model: &BaseModel, case: &str) {
    let given = Golden::open("lora/tiny-sd15-lora-outputs.safetensors");
    let golden = Golden::open(&data("tiny-sd15-outputs"));
    let (text, out) = answer(model, &given);
    assert_close(
        text.states,
        &golden,
        &format!("{case}.context"),
        NETWORK_LIMIT,
    );
    assert_close(out, &golden, &format!("{case}.unet.out"), NETWORK_LIMIT);
}

#[test]
fn files_of_lycoris_give_its_pictures_attached_and_merged_and_written_again() {
    let device = device();
    for case in ["loha", "lokr", "dora"] {
        let path = golden::path(&data(&format!("tiny-sd15-{case}")));
        let refused = LoraFile::read(&path).unwrap_err().to_string();
        assert!(
            refused.contains("only LoRA and LoCon will do here"),
            "{refused}"
        );
        let file = LoraFile::read_any(&path).unwrap();
        assert!(file.modules.is_empty());
        let mut model = tiny_sd15();
        let injected = model.attach(&file, 1.0, &device).unwrap();
        assert_eq!(injected.modules, file.names().count(), "{case}");
        assert_eq!(injected.parameters, file.parameters(), "{case}");
        assert_answer(&model, case);

        // Out of the model, through a file, into another.
        let folder = tempfile::tempdir().unwrap();
        let written = folder.path().join("again.safetensors");
        model
            .to_lora_file()
            .write(&written, FileDtype::F16)
            .unwrap();
        let again = LoraFile::read_any(&written).unwrap();
        assert_eq!(again.lycoris, file.lycoris, "{case}");

        model.merge_adapters();
        assert_answer(&model, case);
    }
}

#[test]
fn misshapen_and_incomplete_modules_are_named() {
    let device = device();
    let path = golden::path(&data("tiny-sd15-loha"));
    let mut file = LoraFile::read_any(&path).unwrap();
    let (name, module) = file.lycoris.pop_first().unwrap();
    let mut narrow = module.clone();
    narrow
        .parts
        .insert("hada_w1_b", TensorData::zeros::<f32, _>([2, 3]));
    let with = |module: LycorisModule| LoraFile {
        lycoris: [(name.clone(), module)].into(),
        ..LoraFile::default()
    };
    let refused = tiny_sd15().attach(&with(narrow), 1.0, &device);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains(&name) && refused.contains("hada_w1_b [2, 3]"),
        "{refused}"
    );

    let mut torn = module.clone();
    torn.parts.remove("hada_w2_a");
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("torn.safetensors");
    let refused = with(torn).write(&target, FileDtype::F16);
    let refused = refused.unwrap_err().to_string();
    assert!(
        refused.contains(&format!("{name}.hada_w2_a")) && !target.exists(),
        "{refused}"
    );

    let refused = with(module).write_peft(&target, FileDtype::F16);
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("LoHa") && !target.exists(), "{refused}");
    let names: BTreeSet<&str> = file.names().collect();
    assert!(names.len() > 100);
}

/// A frozen weight is not changed by an adapter of any kind.
#[test]
fn frozen_weights_stay() {
    let golden = Golden::open(&data("layers"));
    let device = device();
    each(|kind, case, key| {
        let mut layer = Layer::of(&golden, kind, case);
        adapter::attach(&mut [&mut layer], &file(&golden, key), 1.0, &device).unwrap();
        layer.sites(&mut |_, site| {
            let weight = match site.weight {
                SiteWeight::Linear(weight) => values(weight.tensor()),
                SiteWeight::Conv2d(weight) => values(weight.tensor()),
            };
            assert_eq!(
                weight,
                golden.values(&format!("{key}.base.weight")),
                "{key}"
            );
        });
    });
}

/// Nearest to the weight of all pairs of the rank: what is left is PyTorch's, from a decomposition in F64.
#[test]
fn principal_components_are_those_of_pytorch() {
    let golden = Golden::open(&data("layers"));
    let device = device();
    for kind in LAYERS {
        let mut layer = Layer::of(&golden, kind, "lora");
        let spec = adapter::LoraSpec {
            start: adapter::LoraStart::Pissa,
            rank: 3,
            alpha: 6.0,
            ..adapter::LoraSpec::default()
        };
        adapter::inject(&mut layer, &spec, 0, &device).unwrap();
        let factors = adapter::factors(&mut layer);
        let [down, up] =
            ["down", "up"].map(|side| factors[&format!("{NAME}.lora_{side}.weight")].clone());
        let mut left = Vec::new();
        layer.sites(&mut |_, site| {
            left = values(site.weight.matrix() - up.clone().matmul(down.clone()) * 2.0);
        });
        let found = deviation(&left, &golden.values(&format!("{kind}.residual")));
        assert!(found <= 1e-5, "{kind}: {found:e}");
    }
}
