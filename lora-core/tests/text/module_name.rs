//! Names of adapted layers against every name that sd-scripts gives in the full-size and the small models.

use std::collections::{BTreeMap, BTreeSet};

use lora_core::{Family, ModuleName, adapter::Target};
use serde_json::Value;

use crate::golden_json;

const FULL_SIZE: [(&str, Family, usize); 3] = [
    ("sd15", Family::Sd1, 350),
    ("sd21", Family::Sd2, 416),
    ("sdxl", Family::Sdxl, 1052),
];

/// Every module that sd-scripts' LoRA and LoCon adapt in a full-size model.
fn full_size_names(golden: &Value, model: &str) -> BTreeSet<String> {
    ["default", "locon_extra"]
        .iter()
        .flat_map(|part| golden[model][part].as_object().unwrap().keys().cloned())
        .collect()
}

#[test]
fn every_full_size_name_goes_to_diffusers_and_back() {
    let golden = golden_json("lora/full_size_keys.json");
    for (model, family, count) in FULL_SIZE {
        let names = full_size_names(&golden, model);
        assert_eq!(names.len(), count);
        let mut paths = BTreeSet::new();
        for name in &names {
            let module = ModuleName::from_kohya(name).unwrap_or_else(|| panic!("{name}"));
            let path = module.to_string();
            assert_eq!(&module.kohya(family), name);
            assert_eq!(ModuleName::from_diffusers(&path), Some(module));
            paths.insert(path);
        }
        assert_eq!(paths.len(), count, "{model}: two names became one");
    }
}

#[test]
fn sdxl_names_are_those_of_the_same_modules_in_diffusers() {
    let golden = golden_json("lora/full_size_keys.json");
    let expected = golden["sdxl"]["to_diffusers"].as_object().unwrap();
    assert_eq!(expected.len(), 88);
    for (name, path) in expected {
        let module = ModuleName::from_kohya(name).unwrap();
        assert_eq!(module.path(), path.as_str().unwrap(), "{name}");
    }
    // The table leaves out what is inside a transformer: there only the transformer's own name changes.
    for name in full_size_names(&golden, "sdxl") {
        if let Some((transformer, inside)) = name.split_once("_transformer_blocks_") {
            let projection = expected[&format!("{transformer}_proj_in")]
                .as_str()
                .unwrap();
            let path = projection.replace("proj_in", "transformer_blocks");
            let module = ModuleName::from_kohya(&name).unwrap();
            let rest = module.path().strip_prefix(&format!("{path}.")).unwrap();
            assert_eq!(rest.replace('.', "_"), inside);
        }
    }
}

#[test]
fn small_models_have_the_golden_paths() {
    for (model, family) in [("tiny-sd15", Family::Sd1), ("tiny-sdxl", Family::Sdxl)] {
        let names: BTreeMap<String, String> =
            serde_json::from_value(golden_json(&format!("lora/{model}-names.json"))).unwrap();
        for (name, path) in names {
            let module = ModuleName::from_kohya(&name).unwrap();
            assert_eq!(module.to_string(), path);
            assert_eq!(module.kohya(family), name);
        }
    }
}

#[test]
fn sdxl_names_in_diffusers_naming_are_the_same_modules() {
    let name = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_out_0";
    let module = ModuleName::from_kohya(name).unwrap();
    assert_eq!(
        module.kohya(Family::Sdxl),
        "lora_unet_input_blocks_4_1_transformer_blocks_0_attn1_to_out_0"
    );
    assert_eq!(module.kohya(Family::Sd1), name);
    let text = ModuleName::from_kohya("lora_te_text_model_encoder_layers_0_mlp_fc1").unwrap();
    assert_eq!(
        text.kohya(Family::Sdxl),
        "lora_te1_text_model_encoder_layers_0_mlp_fc1"
    );
}

#[test]
fn modules_outside_the_blocks_are_known() {
    for (sgm, path) in [
        ("input_blocks_0_0", "conv_in"),
        ("out_2", "conv_out"),
        ("time_embed_2", "time_embedding.linear_2"),
        ("label_emb_0_0", "add_embedding.linear_1"),
    ] {
        let module = ModuleName::from_kohya(&format!("lora_unet_{sgm}")).unwrap();
        assert_eq!(module.path(), path);
        assert_eq!(module.kohya(Family::Sdxl), format!("lora_unet_{sgm}"));
    }
}

#[test]
fn names_of_nothing_are_refused() {
    for name in [
        "",
        "lora_unet_",
        "lora_unet_down",
        "unet_down_blocks_0_attentions_0_proj_in",
        "lora_unet_input_blocks_4",
        "lora_unet_input_blocks_4_3_proj_in",
        "lora_unet_middle_block_3_in_layers_2",
        "lora_te3_text_model_encoder_layers_0_mlp_fc1",
        "lora_unet_double_blocks_0_img_attn_proj",
    ] {
        assert_eq!(ModuleName::from_kohya(name), None, "{name}");
    }
    for name in [
        "",
        "unet",
        "unet.",
        "vae.encoder.conv_in",
        "text_encoder_3.x",
    ] {
        assert_eq!(ModuleName::from_diffusers(name), None, "{name}");
    }
}

#[test]
fn every_layer_that_sd_scripts_adapts_is_a_candidate() {
    let golden = golden_json("lora/full_size_keys.json");
    let candidates: BTreeSet<ModuleName> = ModuleName::candidates().collect();
    for (model, _, _) in FULL_SIZE {
        for name in full_size_names(&golden, model) {
            let module = ModuleName::from_kohya(&name).unwrap();
            assert!(candidates.contains(&module), "{name}");
            let convolution = golden[model]["locon_extra"].get(&name).is_some();
            assert_eq!(
                module.target() == Target::Convolution,
                convolution,
                "{name}"
            );
        }
    }
}
