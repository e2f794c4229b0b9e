//! Every option that there is, one at a time.

use std::{collections::BTreeMap, fs};

use lora_train::import::{Fate, Import, ImportError};
use serde_json::Value;

use crate::{imported, recorded, told};

#[derive(serde::Deserialize)]
struct Recorded {
    train_network: BTreeMap<String, Value>,
    kohya_ss: Vec<String>,
    lora_scripts: Vec<String>,
}

fn options() -> Recorded {
    serde_json::from_str(&fs::read_to_string(recorded("options.json")).unwrap()).unwrap()
}

/// The lists of `key=value`, whose parts are told one by one.
const LISTS: [&str; 4] = [
    "network_args",
    "optimizer_args",
    "network_args_custom",
    "optimizer_args_custom",
];

/// `option = value`; values of JSON are TOML's.
fn line((option, value): (impl std::fmt::Display, &Value)) -> String {
    format!("{option} = {value}\n")
}

fn is_known(fate: &Fate) -> bool {
    !matches!(fate, Fate::Unknown { .. })
}

#[test]
fn every_option_of_train_network_is_told_and_known() {
    let options = options().train_network;
    assert!(options.len() > 190, "{}", options.len());
    for (option, value) in &options {
        if LISTS.contains(&option.as_str()) {
            continue;
        }
        let text = format!("{option} = {value}\nnetwork_dim = 8\n");
        let text = if option == "network_dim" {
            "network_dim = 8".to_owned()
        } else {
            text
        };
        let import = imported("config.toml", &text);
        let told = told(&import, option);
        assert!(is_known(&told.fate), "{told:?}");
        assert!(import.keys.len() <= 2, "{:?}", import.keys);
    }
}

/// All at once, as nobody would: nothing is dropped where options meet.
#[test]
fn nothing_is_dropped_where_options_meet() {
    let options = options().train_network;
    let lines = options
        .iter()
        .filter(|(option, _)| !LISTS.contains(&option.as_str()));
    let text: String = lines.map(line).collect();
    let import = imported("config.toml", &text);
    for option in options
        .keys()
        .filter(|option| !LISTS.contains(&option.as_str()))
    {
        assert!(is_known(&told(&import, option).fate), "{option}");
    }
    let without: String = text
        .lines()
        .filter(|line| !line.starts_with("dataset_config"))
        .collect::<Vec<_>>()
        .join(
            "
",
        );
    let import = imported("config.toml", &without);
    assert!(
        import.keys.iter().all(|key| is_known(&key.fate)),
        "{:?}",
        import.keys
    );
}

#[test]
fn every_field_of_the_gui_is_told_and_known() {
    let fields = options().kohya_ss;
    assert!(fields.len() > 250, "{}", fields.len());
    for kind in [
        "Standard",
        "Kohya LoCon",
        "LyCORIS/LoKr",
        "LyCORIS/LoHa",
        "LoRA-FA",
    ] {
        let mut config: BTreeMap<&str, Value> = fields
            .iter()
            .map(|field| (field.as_str(), 1.into()))
            .collect();
        for checkbox in [
            "flux1_checkbox",
            "sd3_checkbox",
            "hunyuan_image_checkbox",
            "anima_checkbox",
            "lumina_checkbox",
            "train_inpainting",
        ] {
            config.insert(checkbox, false.into());
        }
        config.insert("LoRA_type", kind.into());
        for field in [
            "additional_parameters",
            "optimizer_args",
            "lr_scheduler_args",
            "dataset_config",
        ] {
            config.insert(field, "".into());
        }
        let import = imported("config.json", &serde_json::to_string(&config).unwrap());
        for field in &fields {
            assert!(is_known(&told(&import, field).fate), "{kind}: {field}");
        }
    }
}

#[test]
fn every_field_of_akegarasus_pages_is_told_and_known() {
    let fields = options().lora_scripts;
    assert!(fields.len() > 90, "{}", fields.len());
    for is_on in [true, false] {
        let mut config: BTreeMap<&str, Value> = fields
            .iter()
            .map(|field| (field.as_str(), "1".into()))
            .collect();
        config.insert("model_train_type", "sdxl-lora".into());
        config.insert("network_module", "lycoris.kohya".into());
        config.insert("lycoris_algo", "lokr".into());
        config.insert("ui_custom_params", "seed = 3".into());
        for switch in [
            "enable_preview",
            "enable_block_weights",
            "enable_base_weight",
        ] {
            config.insert(switch, is_on.into());
        }
        for list in LISTS {
            config.remove(list);
        }
        let text: String = config.iter().map(line).collect();
        let import = imported("config.toml", &text);
        for field in config.keys() {
            assert!(is_known(&told(&import, field).fate), "{field}");
        }
        assert_eq!(import.config.train.seed, 3);
    }
}

#[test]
fn a_config_for_another_kind_of_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, kind) in [
        (
            "a.json",
            r#"{"LoRA_type": "Flux1", "flux1_checkbox": true}"#,
            "Flux",
        ),
        (
            "b.json",
            r#"{"LoRA_type": "Standard", "sd3_checkbox": true}"#,
            "SD 3",
        ),
        ("c.toml", "model_train_type = 'flux-lora'", "flux-lora"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let error = Import::open(path).unwrap_err();
        assert!(
            matches!(&error, ImportError::OtherKind { kind: found, .. } if found == kind),
            "{error}"
        );
    }
}

#[test]
fn what_is_no_config_of_another_trainer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    for (text, said) in [
        ("[train]\nepochs = 3", "run file of this program"),
        ("colour = 'red'", "no key that"),
        ("{\"train_batch_size\": 1}", "no key that"),
        ("[train", "TOML parse error"),
        ("{\"a\"", "EOF"),
    ] {
        let path = folder.path().join("config");
        fs::write(&path, text).unwrap();
        let error = Import::open(path).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}
