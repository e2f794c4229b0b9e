//! The full-size SD1.5: kohya's module list with every shape, and the parameter count, without a number in memory.

use std::{cell::RefCell, collections::BTreeMap, fs};

use burn::tensor::{Device, FloatDType};
use lora_core::{
    Family,
    adapter::{Sites, Target, kohya_name},
    text_encoder::TextEncoder,
    unet::UNet,
    weights::{Component, StoredTensor, TensorProblem, TensorSource, WeightReader},
};
use serde::Deserialize;

use crate::golden;

/// Has no tensor at all, so that the reader puts stand-ins of the right shape; counts what it is asked for.
#[derive(Default)]
struct Counter(RefCell<usize>);

impl TensorSource for Counter {
    fn find(&self, key: &str, shape: &[usize]) -> Result<StoredTensor, TensorProblem> {
        *self.0.borrow_mut() += shape.iter().product::<usize>();
        Err(TensorProblem::Missing {
            key: key.to_owned(),
            file: "nowhere".into(),
        })
    }
}

#[derive(Deserialize)]
struct Keys {
    sd15: ModuleLists,
}

/// Module to the shapes of its two factors at rank 4.
#[derive(Deserialize)]
struct ModuleLists {
    default: BTreeMap<String, [Vec<usize>; 2]>,
    locon_extra: BTreeMap<String, [Vec<usize>; 2]>,
}

#[test]
fn module_names_shapes_and_counts_are_those_of_sd15() {
    let device = Device::flex();
    let text_config =
        serde_json::from_str(Component::TextEncoder.published_config(Family::Sd1)).unwrap();
    let unet_config = serde_json::from_str(Component::UNet.published_config(Family::Sd1)).unwrap();
    let (text_count, unet_count) = (Counter::default(), Counter::default());
    let reader = WeightReader::new(&text_count, &device, FloatDType::F32);
    let mut text = TextEncoder::new(&text_config, &reader.root());
    let reader = WeightReader::new(&unet_count, &device, FloatDType::F32);
    let mut unet = UNet::new(&unet_config, &reader.root());
    assert_eq!(unet_count.0.take(), 859_520_964);
    assert_eq!(text_count.0.take(), 123_060_480);

    let keys = fs::read_to_string(golden::path("lora/full_size_keys.json")).unwrap();
    let Keys { sd15 } = serde_json::from_str(&keys).unwrap();
    let (mut default, mut convolutions) = (BTreeMap::new(), BTreeMap::new());
    for network in [&mut text as &mut dyn Sites, &mut unet] {
        let prefix = network.prefix();
        network.sites(&mut |target, site| {
            let shape = site.shape();
            let entry = (
                kohya_name(prefix, site.path),
                [shape.down_in_file(4), shape.up_in_file(4)],
            );
            let list = if target == Target::Convolution {
                &mut convolutions
            } else {
                &mut default
            };
            list.extend([entry]);
        });
    }
    assert_eq!(default, sd15.default);
    assert_eq!(convolutions, sd15.locon_extra);
}
