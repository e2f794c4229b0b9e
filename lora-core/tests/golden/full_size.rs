//! The full-size models: kohya's module lists with every shape, and the parameter counts, without a number in memory.

use std::{
    collections::BTreeMap,
    fs,
    sync::{Arc, Mutex},
};

use burn::tensor::Device;
use lora_core::{
    BaseModel, Family, ModelConfigs, Precision,
    adapter::Target,
    weights::{StoredTensor, TensorProblem, TensorSource},
};
use serde::Deserialize;

use crate::golden;

/// Has no tensor at all, so that the reader puts stand-ins of the right shape; counts what it is asked for, by the
/// first part of its key.
#[derive(Clone, Default)]
struct Counter(Arc<Mutex<BTreeMap<String, usize>>>);

impl Counter {
    /// Numbers of the networks whose keys begin with one of `parts`.
    fn of(&self, parts: &[&str]) -> usize {
        let counts = self.0.lock().unwrap();
        parts.iter().filter_map(|part| counts.get(*part)).sum()
    }
}

impl TensorSource for Counter {
    fn find(&self, key: &str, shape: &[usize]) -> Result<StoredTensor, TensorProblem> {
        let part = key.split('.').next().unwrap_or_default().to_owned();
        *self.0.lock().unwrap().entry(part).or_default() += shape.iter().product::<usize>();
        Err(TensorProblem::Missing {
            key: key.to_owned(),
            file: "nowhere".into(),
        })
    }
}

#[derive(Deserialize)]
struct Keys {
    sd15: ModuleLists,
    sd21: ModuleLists,
    sdxl: ModuleLists,
}

type Modules = BTreeMap<String, [Vec<usize>; 2]>;

/// Module to the shapes of its two factors at rank 4.
#[derive(Deserialize)]
struct ModuleLists {
    default: Modules,
    locon_extra: Modules,
}

const UNET: [&str; 8] = [
    "conv_in",
    "time_embedding",
    "add_embedding",
    "down_blocks",
    "mid_block",
    "up_blocks",
    "conv_norm_out",
    "conv_out",
];
const TEXT: [&str; 2] = ["text_model", "text_projection"];
const VAE: [&str; 4] = ["encoder", "decoder", "quant_conv", "post_quant_conv"];

/// Builds the published model of `family` and compares its parameter counts and adaptable modules.
fn follow(family: Family, unet: usize, text: usize, expected: &ModuleLists) {
    let counter = Counter::default();
    let configs = ModelConfigs::published(family);
    let mut model = BaseModel::from_tensors(&configs, &counter, Precision::F32, &Device::flex());
    assert_eq!(counter.of(&UNET), unet, "UNet of {family}");
    assert_eq!(counter.of(&TEXT), text, "text encoders of {family}");
    assert_eq!(counter.of(&VAE), 83_653_863, "VAE of {family}");

    let (mut default, mut convolutions) = (Modules::new(), Modules::new());
    for network in model.networks() {
        let naming = network.naming();
        network.sites(&mut |target, site| {
            let shape = site.shape();
            let shapes = [shape.down_in_file(4), shape.up_in_file(4)];
            let list = match target {
                Target::Convolution => &mut convolutions,
                Target::TextProjection | Target::OutsideTheBlocks => return,
                _ => &mut default,
            };
            list.insert(naming.kohya_name(site.path), shapes);
        });
    }
    assert_eq!(default, expected.default, "{family}");
    assert_eq!(convolutions, expected.locon_extra, "{family}");
}

#[test]
fn modules_shapes_and_counts_are_those_of_the_published_models() {
    let keys = fs::read_to_string(golden::path("lora/full_size_keys.json")).unwrap();
    let Keys { sd15, sd21, sdxl } = serde_json::from_str(&keys).unwrap();
    let counts = [&sd15, &sd21, &sdxl].map(|lists| (lists.default.len(), lists.locon_extra.len()));
    assert_eq!(counts.map(|(default, _)| default), [264, 330, 986]);
    assert_eq!(
        counts.map(|(default, extra)| default + extra),
        [350, 416, 1052]
    );
    follow(Family::Sd1, 859_520_964, 123_060_480, &sd15);
    follow(Family::Sd2, 865_910_724, 340_387_840, &sd21);
    // 123,060,480 of the first and 694,659,840 of the second encoder.
    follow(Family::Sdxl, 2_567_463_684, 817_720_320, &sdxl);
}
