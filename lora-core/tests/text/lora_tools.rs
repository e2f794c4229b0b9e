//! Tools over LoRA files against torch's linear algebra.

use std::collections::BTreeMap;

use burn::tensor::TensorData;
use lora_core::adapter::Strength;
use lora_core::lora_file::{LoraFile, LoraModule};
use lora_core::lora_tools::{
    CombineError, Norms, RankChoice, RankRule, WeightedLora, combine, resize,
};
use lora_core::safetensors_file::SafetensorsFile;

use crate::repository;

/// The modules that `gen_tools.py` computed.
const MODULES: [&str; 4] = [
    "lora_te_text_model_encoder_layers_0_mlp_fc1",
    "lora_unet_down_blocks_0_attentions_0_proj_in",
    "lora_unet_mid_block_attentions_0_transformer_blocks_0_ff_net_2",
    "lora_unet_down_blocks_0_resnets_0_conv1",
];

fn lora(name: &str) -> LoraFile {
    LoraFile::read(repository(&format!(
        "testdata/golden/lora/{name}.safetensors"
    )))
    .unwrap()
}

fn golden(key: &str) -> Vec<f64> {
    let file = SafetensorsFile::open(repository("testdata/golden/lora/tools.safetensors")).unwrap();
    let values = file.read(key).unwrap().to_f32().unwrap();
    values.into_iter().map(f64::from).collect()
}

/// A module's correction times the vector `cos(0), cos(1), …`.
fn times_cos(module: &LoraModule) -> Vec<f64> {
    let (rank, down, up) = (
        module.rank(),
        module.down.as_slice::<f32>().unwrap(),
        module.up.as_slice::<f32>().unwrap(),
    );
    let dot = |row: &[f32], vector: &dyn Fn(usize) -> f64| -> f64 {
        row.iter()
            .enumerate()
            .map(|(index, &value)| f64::from(value) * vector(index))
            .sum()
    };
    let inner: Vec<f64> = down
        .chunks(down.len() / rank)
        .map(|row| dot(row, &|index| (index as f64).cos()))
        .collect();
    let scale = f64::from(module.scale());
    up.chunks(rank)
        .map(|row| scale * dot(row, &|index| inner[index]))
        .collect()
}

/// Factors in f32, reference in f32: a few units in the last place.
fn assert_close(found: &[f64], expected: &[f64], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected
        .iter()
        .fold(0f64, |largest, value| largest.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 2e-6 * largest,
            "{what}: {found} {expected}"
        );
    }
}

#[test]
fn a_lower_rank_is_torchs_truncated_decomposition() {
    let locon = lora("tiny-sd15-locon");
    let (resized, told) = resize(&locon, &RankChoice::fixed(2));
    for module in MODULES {
        let found = &resized.modules[module];
        assert_eq!(found.rank(), 2);
        assert_eq!(
            found.scale().to_bits(),
            locon.modules[module].scale().to_bits()
        );
        assert_close(
            &times_cos(found),
            &golden(&format!("rank2_times_cos.{module}")),
            module,
        );

        let values = golden(&format!("singular_values.{module}"));
        let energy = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
        let kept = (energy(&values[..2]) / energy(&values)).sqrt();
        assert!((told[module].kept - kept).abs() < 1e-6, "{module}");
    }
    assert_eq!(resized.metadata["ss_network_dim"], "2");
    assert_eq!(resized.metadata["ss_network_alpha"], "1.0");
    assert!(
        resized.metadata["ss_training_comment"].starts_with("dimension is resized from 4 to 2; ")
    );
}

#[test]
fn what_has_the_rank_already_stays_to_the_bit() {
    let locon = lora("tiny-sd15-locon");
    let convolution = "lora_unet_down_blocks_0_resnets_0_conv1";
    let (resized, told) = resize(&locon, &RankChoice::fixed(2));
    assert_eq!(resized.modules[convolution], locon.modules[convolution]);
    assert_eq!((told[convolution].from, told[convolution].to), (2, 2));
    let (same, _) = resize(&locon, &RankChoice::fixed(64));
    assert_eq!(same.modules, locon.modules);
}

#[test]
fn ranks_follow_the_energy_of_each_module() {
    let locon = lora("tiny-sd15-locon");
    let (resized, told) = resize(&locon, &RankChoice::by(RankRule::Energy(0.8)));
    let mut ranks = BTreeMap::<usize, usize>::new();
    for (name, module) in &resized.modules {
        let values = golden(&format!("singular_values.{name}"));
        let energy: f64 = values.iter().map(|value| value * value).sum();
        let mut sum = 0.0;
        let expected = values
            .iter()
            .take_while(|value| {
                sum += *value * *value;
                sum < 0.8 * energy
            })
            .count()
            + 1;
        assert_eq!(module.rank(), expected, "{name}");
        assert!(told[name].kept >= 0.8f64.sqrt());
        *ranks.entry(expected).or_default() += 1;
    }
    assert!(ranks.len() > 2, "{ranks:?}");
    assert_eq!(resized.metadata["ss_network_dim"], "Dynamic");
}

#[test]
fn several_become_their_weighted_sum() {
    let (plain, locon) = (lora("tiny-sd15-lora"), lora("tiny-sd15-locon"));
    let loras = [
        WeightedLora {
            name: "plain",
            file: &plain,
            strength: 0.75.into(),
        },
        WeightedLora {
            name: "locon",
            file: &locon,
            strength: (-0.5).into(),
        },
    ];
    for choice in [None, Some(RankChoice::fixed(8))] {
        let sum = combine(&loras, choice.as_ref()).unwrap();
        assert_eq!(sum.modules.len(), locon.modules.len());
        for module in MODULES {
            assert_close(
                &times_cos(&sum.modules[module]),
                &golden(&format!("sum_times_cos.{module}")),
                module,
            );
        }
        assert_eq!(sum.metadata["modelspec.merged_from"], "plain, locon");
        assert_eq!(
            sum.metadata["ss_training_comment"],
            "merged from plain:0.75, locon:-0.5"
        );
        assert_eq!(sum.metadata["ss_base_model_version"], "sd_v1");
        assert!(!sum.metadata.contains_key("ss_seed"));
        assert_eq!(sum.modules[MODULES[0]].rank(), 8);
    }
    // The sum of two of rank 4, truncated, is the nearest of its rank: not better than the whole, not worse than a part.
    let whole = Norms::of(&combine(&loras, None).unwrap()).total();
    let part = Norms::of(&combine(&loras, Some(&RankChoice::fixed(3))).unwrap()).total();
    assert!(part < whole && part > 0.5 * whole, "{part} {whole}");
}

#[test]
fn text_encoder_and_unet_have_their_own_strengths() {
    let plain = lora("tiny-sd15-lora");
    let one = WeightedLora {
        name: "one",
        file: &plain,
        strength: Strength {
            text: 0.0,
            unet: 2.0,
        },
    };
    let sum = combine(&[one, one], None).unwrap();
    assert_eq!(
        sum.metadata["ss_training_comment"],
        "merged from one:0:2, one:0:2"
    );
    for (name, module) in &sum.modules {
        let factor = if name.starts_with("lora_te") {
            0.0
        } else {
            4.0
        };
        let expected: Vec<f64> = times_cos(&plain.modules[name])
            .iter()
            .map(|value| factor * value)
            .collect();
        assert_close(&times_cos(module), &expected, name);
    }
}

#[test]
fn what_does_not_go_together_is_named() {
    let (sd15, sdxl) = (lora("tiny-sd15-lora"), lora("tiny-sdxl-lora"));
    let weighted = |name, file| WeightedLora {
        name,
        file,
        strength: 1.0.into(),
    };
    assert!(matches!(combine(&[], None), Err(CombineError::Nothing)));
    let error = combine(&[weighted("a", &sd15), weighted("b", &sdxl)], None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a is for SD 1.x and b for SDXL; only LoRAs of one family can be added up"
    );
    let mut wider = sd15.clone();
    let module = wider.modules.get_mut(MODULES[0]).unwrap();
    module.down = TensorData::new(vec![1f32; 4 * 16], [4, 16]);
    let error = combine(&[weighted("a", &sd15), weighted("b", &wider)], None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("a changes a layer of shape [48, 12], b one of shape [48, 16]"),
        "{error}"
    );
}

#[test]
fn norms_are_those_of_the_singular_values() {
    let locon = lora("tiny-sd15-locon");
    let norms = Norms::of(&locon);
    let square = |values: Vec<f64>| values.iter().map(|value| value * value).sum::<f64>();
    let mut total = 0.0;
    for module in &norms.modules {
        let expected = square(golden(&format!("singular_values.{}", module.module)));
        assert!(
            (module.norm / expected.sqrt() - 1.0).abs() < 1e-6,
            "{}",
            module.module
        );
        total += expected;
    }
    assert!((norms.total() / total.sqrt() - 1.0).abs() < 1e-6);
    let blocks: f64 = norms
        .blocks
        .iter()
        .map(|block| block.norm * block.norm)
        .sum();
    assert!((blocks / total - 1.0).abs() < 1e-6);
    assert_eq!(
        norms
            .blocks
            .iter()
            .map(|block| block.modules)
            .sum::<usize>(),
        307
    );
    let names: Vec<&str> = norms
        .blocks
        .iter()
        .map(|block| block.block.as_str())
        .collect();
    assert_eq!(
        names[..2],
        ["text_encoder.layers.0", "text_encoder.layers.1"]
    );
    assert!(
        names.contains(&"unet.mid_block") && names.contains(&"unet.up_blocks.3"),
        "{names:?}"
    );
    let largest = norms.largest().unwrap();
    assert!(
        norms
            .modules
            .iter()
            .all(|module| module.norm <= largest.norm)
    );
}

#[test]
fn a_broken_module_has_no_norm() {
    let mut file = lora("tiny-sd15-lora");
    file.modules.get_mut(MODULES[0]).unwrap().up = TensorData::new(vec![f32::NAN; 48 * 4], [48, 4]);
    let norms = Norms::of(&file);
    let broken: Vec<&str> = norms
        .modules
        .iter()
        .filter(|module| module.norm.is_nan())
        .map(|module| module.module.as_str())
        .collect();
    assert_eq!(broken, [MODULES[0]]);
}
