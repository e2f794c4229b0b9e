//! The layouts of kohya, PEFT and diffusers: the same LoRA whichever is read or written.

use std::fs;
use std::path::Path;

use half::f16;
use lora_core::Family;
use lora_core::lora_file::{
    AdapterKind, FileDtype, LoraFile, LoraFileError, LoraLayout, LoraModule, LoraProblem,
};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::{golden_json, repository};

const TINY: [(&str, Family); 3] = [
    ("tiny-sd15", Family::Sd1),
    ("tiny-sd21", Family::Sd2),
    ("tiny-sdxl", Family::Sdxl),
];

fn golden(name: &str) -> LoraFile {
    LoraFile::read(repository(&format!(
        "testdata/golden/lora/{name}.safetensors"
    )))
    .unwrap()
}

/// `alpha / rank · up · down`, `[out, receptive]` flattened, in f64.
fn product(module: &LoraModule) -> Vec<f64> {
    let (down, up) = (
        module.down.as_slice::<f32>().unwrap(),
        module.up.as_slice::<f32>().unwrap(),
    );
    let (rank, receptive) = (module.rank(), down.len() / module.rank());
    let outputs = up.len() / rank;
    let mut product = vec![0.0; outputs * receptive];
    for out in 0..outputs {
        for inner in 0..rank {
            for column in 0..receptive {
                product[out * receptive + column] += f64::from(module.scale())
                    * f64::from(up[out * rank + inner])
                    * f64::from(down[inner * receptive + column]);
            }
        }
    }
    product
}

/// The largest difference of the modules' products, over the largest value.
fn distance(a: &LoraFile, b: &LoraFile) -> f64 {
    assert!(a.modules.keys().eq(b.modules.keys()));
    let (mut difference, mut largest) = (0f64, 0f64);
    for (name, module) in &a.modules {
        for (a, b) in product(module).into_iter().zip(product(&b.modules[name])) {
            difference = difference.max((a - b).abs());
            largest = largest.max(b.abs());
        }
    }
    difference / largest
}

/// The golden pair was made from the same factors with a scale of ½, which is exact.
#[test]
fn kohya_and_peft_files_are_the_same_lora() {
    for (name, family) in TINY {
        let (kohya, form) = LoraFile::read_with_form(repository(&format!(
            "testdata/golden/lora/{name}-lora.safetensors"
        )))
        .unwrap();
        assert_eq!(
            (form.layout, kohya.family()),
            (LoraLayout::Kohya, Some(family))
        );
        let (peft, form) = LoraFile::read_with_form(repository(&format!(
            "testdata/golden/lora/{name}-lora-peft.safetensors"
        )))
        .unwrap();
        assert_eq!(
            (form.layout, peft.family()),
            (LoraLayout::Peft, Some(family))
        );
        assert!(distance(&kohya, &peft) == 0.0);
    }
}

/// Byte for byte: what we make of the kohya file is the golden PEFT file's tensors.
#[test]
fn the_written_peft_file_is_the_golden_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peft.safetensors");
    for (name, _) in TINY {
        golden(&format!("{name}-lora"))
            .write_peft(&path, FileDtype::F16)
            .unwrap();
        let (ours, theirs) = (
            fs::read(&path).unwrap(),
            fs::read(repository(&format!(
                "testdata/golden/lora/{name}-lora-peft.safetensors"
            )))
            .unwrap(),
        );
        let (ours, theirs) = (
            SafeTensors::deserialize(&ours).unwrap(),
            SafeTensors::deserialize(&theirs).unwrap(),
        );
        assert_eq!(ours.len(), theirs.len());
        for (key, expected) in theirs.iter() {
            let found = ours.tensor(key).unwrap_or_else(|_| panic!("{key}"));
            assert_eq!(
                (found.dtype(), found.shape()),
                (expected.dtype(), expected.shape())
            );
            assert!(found.data() == expected.data(), "{key}");
        }
    }
}

#[test]
fn a_file_survives_the_way_to_peft_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let mut lora = golden("tiny-sd15-locon");
    lora.write_peft(&path, FileDtype::F16).unwrap();
    let back = LoraFile::read(&path).unwrap();
    // Ranks 4 and 2 with alphas 2 and 1: the scale of ½ is exact, convolutions included.
    assert!(distance(&lora, &back) == 0.0);
    assert_eq!(back.metadata["ss_network_dim"], "4");

    // A scale of 1/256: only numbers below F16's normal range lose digits, 2⁻²⁵ of a down factor that was divided by 16.
    // Had all of the scale gone into the up factor, it would be 30 times as much.
    lora.modules
        .values_mut()
        .for_each(|module| module.alpha = 1.0 / 64.0);
    lora.write_peft(&path, FileDtype::F16).unwrap();
    assert!(distance(&lora, &LoraFile::read(&path).unwrap()) < 4e-6);

    // A scale that is no power of two is rounded once, to 11 bits.
    lora.modules
        .values_mut()
        .for_each(|module| module.alpha = 2.8);
    lora.write_peft(&path, FileDtype::F16).unwrap();
    let rounded = distance(&lora, &LoraFile::read(&path).unwrap());
    assert!(rounded > 0.0 && rounded < 2f64.powi(-10), "{rounded}");
    lora.write_peft(&path, FileDtype::F32).unwrap();
    assert!(distance(&lora, &LoraFile::read(&path).unwrap()) < 1e-6);
}

#[test]
fn mixed_ranks_and_alphas_stay_with_their_modules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let mut lora = golden("tiny-sd15-locon");
    for (index, module) in lora.modules.values_mut().enumerate() {
        module.alpha = [0.5, 1.0, 2.0, 8.0][index % 4];
    }
    lora.write(&path, FileDtype::F16).unwrap();
    let kohya = LoraFile::read(&path).unwrap();
    assert_eq!(kohya.modules, lora.modules);
    lora.write_peft(&path, FileDtype::F16).unwrap();
    // Where a down factor was halved, numbers below F16's normal range lose a digit.
    assert!(distance(&lora, &LoraFile::read(&path).unwrap()) < 1e-6);
}

/// Renames the keys of a golden file.
fn renamed(from: &str, to: &Path, metadata: &[(&str, &str)], rename: impl Fn(&str) -> String) {
    let bytes = fs::read(repository(&format!(
        "testdata/golden/lora/{from}.safetensors"
    )))
    .unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(key, view)| (rename(key), view))
        .collect();
    let metadata = metadata
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    fs::write(
        to,
        safetensors::serialize(tensors, Some(metadata.collect())).unwrap(),
    )
    .unwrap();
}

#[test]
fn old_diffusers_keys_are_understood() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pytorch_lora_weights.safetensors");
    renamed("tiny-sd15-lora-peft", &path, &[], |key| {
        let processor = |key: &str| {
            ["attn1", "attn2"]
                .iter()
                .fold(key.to_owned(), |key, attention| {
                    key.replace(
                        &format!("{attention}.to_"),
                        &format!("{attention}.processor.to_"),
                    )
                })
        };
        let key = key
            .replace("lora_A", "lora.down")
            .replace("lora_B", "lora.up");
        if key.starts_with("unet.") {
            processor(&key)
                .replace("to_out.0.lora", "to_out_lora")
                .replace("to_q.lora", "to_q_lora")
                .replace("to_k.lora", "to_k_lora")
                .replace("to_v.lora", "to_v_lora")
        } else {
            key.replace(".lora.", ".lora_linear_layer.")
        }
    });
    let (old, form) = LoraFile::read_with_form(folder.path()).unwrap();
    assert_eq!(form.layout, LoraLayout::OldDiffusers);
    assert!(distance(&golden("tiny-sd15-lora"), &old) == 0.0);
}

#[test]
fn sdxl_names_in_diffusers_naming_are_read_as_sgm_names() {
    let names = golden_json("lora/tiny-sdxl-names.json");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    renamed("tiny-sdxl-lora", &path, &[], |key| {
        let (module, part) = key.split_once('.').unwrap();
        let path = names[module].as_str().unwrap();
        match path.strip_prefix("unet.") {
            Some(path) => format!("lora_unet_{}.{part}", path.replace('.', "_")),
            None => key.to_owned(),
        }
    });
    let lora = LoraFile::read(&path).unwrap();
    assert_eq!(lora.modules, golden("tiny-sdxl-lora").modules);
}

/// diffusers 0.35 and later keep PEFT's configuration in the metadata, with unscaled factors.
#[test]
fn alphas_of_a_configuration_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let config = r#"{"unet.r": 4, "unet.lora_alpha": 2, "text_encoder.r": 4, "text_encoder.lora_alpha": 16}"#;
    renamed(
        "tiny-sd15-lora-peft",
        &path,
        &[("lora_adapter_metadata", config)],
        str::to_owned,
    );
    let lora = LoraFile::read(&path).unwrap();
    for (name, module) in &lora.modules {
        let expected = if name.starts_with("lora_te") {
            16.0
        } else {
            2.0
        };
        assert!((module.alpha - expected).abs() < f32::EPSILON, "{name}");
    }
    // Written anew, the scale is in the factors and the configuration is gone: nothing applies it twice.
    let again = folder.path().join("b.safetensors");
    lora.write_peft(&again, FileDtype::F16).unwrap();
    let back = LoraFile::read(&again).unwrap();
    assert!(!back.metadata.contains_key("lora_adapter_metadata"));
    assert!(distance(&lora, &back) == 0.0);
}

#[test]
fn a_folder_of_peft_has_its_alpha_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let weights = folder.path().join("adapter_model.safetensors");
    renamed("tiny-sd15-lora-peft", &weights, &[], |key| {
        match key.split_once('.').unwrap() {
            ("unet", path) => format!("base_model.model.{path}"),
            _ => key.to_owned(),
        }
    });
    let error = LoraFile::read(folder.path()).unwrap_err();
    assert!(error.to_string().contains("adapter_config.json"), "{error}");

    let config =
        r#"{"r": 4, "lora_alpha": 8, "alpha_pattern": {"attn1.to_q": 2}, "peft_type": "LORA"}"#;
    fs::write(folder.path().join("adapter_config.json"), config).unwrap();
    let lora = LoraFile::read(folder.path()).unwrap();
    let alpha = |ending: &str| {
        lora.modules
            .iter()
            .find(|(name, _)| name.ends_with(ending))
            .unwrap()
            .1
            .alpha
            .to_bits()
    };
    assert_eq!(
        (alpha("attn1_to_q"), alpha("attn1_to_k")),
        (2f32.to_bits(), 8f32.to_bits())
    );

    fs::write(
        folder.path().join("adapter_config.json"),
        "{\"lora_alpha\": \"much\"}",
    )
    .unwrap();
    let error = LoraFile::read(folder.path()).unwrap_err();
    assert!(
        error.to_string().contains("configuration cannot be read"),
        "{error}"
    );
}

fn problems_of(keys: &[&str]) -> Vec<LoraProblem> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.safetensors");
    let one = f16::ONE.to_le_bytes();
    let view = || TensorView::new(Dtype::F16, vec![1, 1], &one).unwrap();
    let tensors = keys.iter().map(|key| (*key, view()));
    fs::write(&path, safetensors::serialize(tensors, None).unwrap()).unwrap();
    match LoraFile::read(&path).unwrap_err() {
        LoraFileError::Problems { problems, .. } => problems.0,
        error @ LoraFileError::File(_) => panic!("{error}"),
    }
}

#[test]
fn other_adapters_are_named_by_their_kind() {
    for (keys, kind) in [
        (["a.hada_w1_a", "a.hada_w2_b", "a.alpha"], AdapterKind::LoHa),
        (["a.lokr_w1", "a.lokr_w2", "a.alpha"], AdapterKind::LoKr),
        (
            ["a.lora_down.weight", "a.dora_scale", "a.lora_up.weight"],
            AdapterKind::Dora,
        ),
        (
            [
                "unet.a.lora_A.weight",
                "unet.a.lora_magnitude_vector",
                "unet.a.lora_B.weight",
            ],
            AdapterKind::PeftDora,
        ),
        (
            [
                "a.lora_down.weight",
                "a.lora_mid.weight",
                "a.lora_up.weight",
            ],
            AdapterKind::Tucker,
        ),
        (
            ["a.diff", "a.diff_b", "a.alpha"],
            AdapterKind::FullDifference,
        ),
    ] {
        let problems = problems_of(&keys);
        let [LoraProblem::OtherKind { kind: found, .. }] = problems[..] else {
            panic!("{problems:?}")
        };
        assert_eq!(found, kind);
        assert!(
            problems[0]
                .to_string()
                .contains(&format!("{kind} adapter (")),
            "{}",
            problems[0]
        );
    }
}

#[test]
fn a_module_that_is_in_the_file_twice_is_refused() {
    let path = "mid_block.attentions.0.proj_in";
    let kohya = "lora_unet_mid_block_attentions_0_proj_in";
    let keys = [
        format!("{kohya}.lora_down.weight"),
        format!("{kohya}.lora_up.weight"),
        format!("unet.{path}.lora_A.weight"),
    ];
    let problems = problems_of(&keys.each_ref().map(String::as_str));
    assert!(
        matches!(&problems[..], [LoraProblem::Twice { module, .. }] if module == kohya),
        "{problems:?}"
    );
}

#[test]
fn a_module_of_an_unknown_place_is_not_written_as_peft() {
    let mut lora = golden("tiny-sd15-lora");
    let module = lora.modules.values().next().unwrap().clone();
    lora.modules.insert("lora_unet_nowhere".to_owned(), module);
    let folder = tempfile::tempdir().unwrap();
    let error = lora
        .write_peft(folder.path().join("a.safetensors"), FileDtype::F16)
        .unwrap_err();
    assert!(
        error.to_string().contains("lora_unet_nowhere: no path"),
        "{error}"
    );
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}
